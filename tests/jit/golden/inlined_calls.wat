;; Small functions disappear into their callers; what they trap with names their own instruction.
;; RUN: levels=2,3
(module (memory 1)
  (func $get (param i32) (result i32) (i32.load offset=8 (local.get 0)))
  (func $ratio (param i32) (result i32) (i32.div_u (i32.const 1000) (call $get (local.get 0))))
  (func $loops (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  ;; IR-LABEL: define {{.*}} @f3(
  ;; IR-NOT: call i32
  ;; IR: load i32, ptr
  ;; IR: load i32, ptr
  ;; IR: ret i32
  (func (export "sum") (param i32) (result i32)
    (i32.add (call $get (local.get 0)) (call $get (i32.add (local.get 0) (i32.const 16)))))
  ;; Two levels; the trap's site is in $ratio.
  ;; IR-LABEL: define {{.*}} @f4(
  ;; IR-NOT: call i32
  ;; IR: call void @tenon.raise(ptr
  ;; IR-NEXT: unreachable
  ;; IR: udiv i32 1000
  (func (export "nested") (param i32) (result i32) (call $ratio (local.get 0)))
  ;; What loops is called.
  ;; IR-LABEL: define {{.*}} @f5(
  ;; IR: call void @f2(
  ;; IR: ret void
  (func (export "call") (param i32) (call $loops (local.get 0))))
