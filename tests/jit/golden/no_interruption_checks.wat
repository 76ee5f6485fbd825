;; Interruption by signal costs nothing: where nobody asks for fuel, epochs or looks at the flag, a loop is its own
;; instructions and no more.
;; RUN: levels=1,2,3 cpu=x86-64-v3
(module
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR-NOT: volatile
  ;; IR-NOT: icmp uge
  ;; IR-NOT: icmp slt
  ;; IR: xor i32
  ;; IR-NOT: volatile
  ;; IR-NOT: icmp uge
  ;; IR-NOT: icmp slt
  ;; IR: ret i32
  ;; ASM1-LABEL: f0:
  ;; ASM1: xor
  ;; ASM1-NOT: cmp
  ;; ASM1-NOT: call
  ;; ASM1: ret
  (func (export "loop") (param i32 i32) (result i32)
    (loop $l
      (local.set 1 (i32.xor (i32.shl (local.get 1) (i32.const 3)) (local.get 0)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))
