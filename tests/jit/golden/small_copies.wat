;; Copies and fills of small constant sizes are checked once and done in place; everything is loaded before anything
;; is stored.
;; RUN: levels=1,2
(module (memory 1)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR-NOT: call i8 %
  ;; IR: load <2 x i64>
  ;; IR: load i32
  ;; IR: store <2 x i64>
  ;; IR: store i32
  ;; IR-NOT: call i8 %
  ;; IR: ret void
  (func (export "copy20") (param i32 i32)
    (memory.copy (local.get 0) (local.get 1) (i32.const 20)))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR-NOT: call i8 %
  ;; IR: store i64
  ;; IR: ret void
  (func (export "fill8") (param i32 i32)
    (memory.fill (local.get 0) (local.get 1) (i32.const 8)))
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: call i8 %
  (func (export "copy_more") (param i32 i32)
    (memory.copy (local.get 0) (local.get 1) (i32.const 2000))))
