;; Loads that may fault stay although nothing uses them, and stores stay between them, at every level.
;; RUN: levels=0,1,2,3
(module (memory 1)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: store i32 1, ptr
  ;; IR: load i32, ptr
  ;; IR: call void asm sideeffect unwind "", "r"(i32
  ;; IR: store i32 2, ptr
  (func (export "store_load_store") (param i32 i32)
    (i32.store (local.get 0) (i32.const 1))
    (drop (i32.load (local.get 1)))
    (i32.store (local.get 0) (i32.const 2)))

  ;; Two loads in order; the first is not merged with what comes after the store.
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: load i64, ptr
  ;; IR: asm sideeffect unwind
  ;; IR: store i8
  ;; IR: load i64, ptr
  (func (export "load_store_load") (param i32 i32) (result i64)
    (drop (i64.load (local.get 0)))
    (i32.store8 (local.get 1) (i32.const 7))
    (i64.load (local.get 0)))

  ;; A division that traps comes after the store.
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: store i32
  ;; IR: icmp
  ;; IR: div i32
  (func (export "store_divide") (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 1))
    (i32.div_u (local.get 0) (local.get 1))))
