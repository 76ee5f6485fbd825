;; Where bounds are checked in code: one check for accesses at one index that an earlier one covers, and one comparison
;; for it when the memory's smallest size shows that nothing wraps.
;; RUN: levels=1,2
(module (memory i64 1)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: icmp ugt i64
  ;; IR-NOT: icmp
  ;; IR: ret i64
  (func (export "three") (param i64) (result i64)
    (i64.add (i64.load offset=16 (local.get 0))
      (i64.add (i64.load offset=8 (local.get 0)) (i64.load (local.get 0)))))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: uadd.with.overflow
  (func (export "far") (param i64) (result i64)
    (i64.load offset=70000 (local.get 0))))
