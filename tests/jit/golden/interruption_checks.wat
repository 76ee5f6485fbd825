;; The same loop for embedders that ask for checks: at the function's beginning and at the loop's head.
;; RUN: levels=1,2,3
;; RUN: checks
(module
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: icmp slt i64
  ;; IR: load volatile i32
  ;; IR: load volatile i64
  ;; IR: icmp slt i64
  ;; IR: load volatile i32
  ;; IR: load volatile i64
  ;; IR: ret i32
  (func (export "loop") (param i32 i32) (result i32)
    (loop $l
      (local.set 1 (i32.xor (i32.shl (local.get 1) (i32.const 3)) (local.get 0)))
      (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1)))
