;; Indirect calls check bounds, null and signature in place. Where nothing changes the table, its rows are constants of the
;; image: one comparison covers null and signature.
;; RUN: levels=1,2,3
(module
  (type $f (func (param i32) (result i32)))
  (table $open (export "t") 4 funcref)
  (table $known 2 funcref)
  (func $a (type $f) (loop) (local.get 0))
  (func $b (loop))
  (elem (table $known) (i32.const 0) func $a $b)
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: icmp {{ult|ugt|uge|ule}} i64
  ;; IR: icmp eq ptr {{.*}}, null
  ;; IR: icmp eq i32
  ;; IR-NOT: call i32 %{{[0-9]+}}(ptr {{.*}}, i32 {{.*}}, i32 {{.*}})
  ;; IR: ret i32
  (func (export "open") (param i32) (result i32) (call_indirect $open (type $f) (i32.const 3) (local.get 0)))
  ;; IR-LABEL: define {{.*}} @f3(
  ;; IR: getelementptr {{.*}} ptr @table1
  ;; IR: icmp {{eq|ne}} i32
  (func (export "known") (param i32) (result i32) (call_indirect $known (type $f) (i32.const 3) (local.get 0)))
  ;; IR-LABEL: define {{.*}} @f4(
  ;; IR: icmp eq i64 {{.*}}, 0
  ;; IR-NOT: icmp eq
  ;; IR: ret i32
  (func (export "reference") (param (ref null $f)) (result i32) (call_ref $f (i32.const 3) (local.get 0))))
