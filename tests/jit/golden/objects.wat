;; Fields are loaded and stored in place, casts look once into the display; nothing is called.
;; RUN: levels=2
(module
  (type $base (sub (struct (field (mut i32)))))
  (type $more (sub $base (struct (field (mut i32)) (field i64))))
  (type $last (sub final $base (struct (field (mut i32)) (field f32))))
  (type $bytes (array (mut i8)))
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: icmp eq i64 %1, 0
  ;; IR-NOT: call {{.*}}(ptr{{.*}}@
  ;; IR: load i64, ptr
  ;; IR: ret i64
  (func (export "field") (param (ref null $more)) (result i64) (struct.get $more 1 (local.get 0)))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR-NOT: call i32 %
  ;; IR: icmp eq i32
  ;; IR-NOT: call i32 %
  ;; IR: ret
  (func (export "cast") (param (ref null $base)) (result (ref $more)) (ref.cast (ref $more) (local.get 0)))
  ;; A final type has no subtypes: one comparison, no display.
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: icmp eq i32
  ;; IR-NOT: icmp eq i32
  (func (export "final") (param (ref null $base)) (result i32) (ref.test (ref $last) (local.get 0)))
  ;; IR-LABEL: define {{.*}} @f3(
  ;; IR: icmp ult i32
  ;; IR: load i8
  ;; IR: zext i8
  (func (export "element") (param (ref null $bytes) i32) (result i32)
    (array.get_u $bytes (local.get 0) (local.get 1))))
