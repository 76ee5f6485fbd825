;; Where bounds are checked in code: one check for accesses at one index that an earlier one covers, or can be made to, and
;; one comparison for it when the memory's smallest size shows that nothing wraps. No barriers: nothing faults.
;; RUN: levels=1,2
(module (memory i64 1)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: icmp ugt i64
  ;; IR-NOT: icmp
  ;; IR-NOT: asm sideeffect
  ;; IR: ret i64
  (func (export "three") (param i64) (result i64)
    (i64.add (i64.load offset=16 (local.get 0))
      (i64.add (i64.load offset=8 (local.get 0)) (i64.load (local.get 0)))))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: uadd.with.overflow
  (func (export "far") (param i64) (result i64)
    (i64.load offset=70000 (local.get 0)))
  ;; Upwards too, when nothing comes between that could be seen. Which of the loads traps is found out when one does.
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: icmp ugt i64
  ;; IR: br i1
  ;; IR-NOT: br i1
  ;; IR: load i64, ptr
  ;; IR: load i64, ptr
  ;; IR: load i64, ptr
  ;; IR: ret i64
  (func (export "upwards") (param i64) (result i64)
    (i64.add (i64.load (local.get 0))
      (i64.add (i64.load offset=8 (local.get 0)) (i64.load offset=16 (local.get 0)))))
  ;; A store that must be seen when the second access traps: two checks.
  ;; IR-LABEL: define {{.*}} @f3(
  ;; IR: icmp ugt i64
  ;; IR: store i64 1, ptr
  ;; IR: icmp ugt i64
  ;; IR: load i64, ptr
  (func (export "store_load") (param i64) (result i64)
    (i64.store (local.get 0) (i64.const 1))
    (i64.load offset=16 (local.get 0))))
