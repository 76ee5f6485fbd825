;; Tail calls are jumps, also with more arguments than the caller has.
;; RUN: levels=0,1,2,3
(module
  (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64) (result i64)))
  (table 1 funcref)
  ;; IR-LABEL: define {{.*}} @f0(
  ;; IR: musttail call {{.*}} @f1(
  ;; IR-NEXT: ret
  (func $few (export "few") (param i64) (result i64)
    (return_call $more (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0)))
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: musttail call {{.*}} %
  ;; IR-NEXT: ret
  (func $more (type $many)
    (return_call_indirect (type $many) (local.get 0) (local.get 0) (local.get 0) (local.get 0) (local.get 0)
      (local.get 0) (local.get 0) (local.get 0) (local.get 0) (i32.const 0)))
  ;; Results beyond two go through the caller's own pointer.
  ;; IR-LABEL: define {{.*}} @f2(
  ;; IR: musttail call { i64, i64 } @f3(
  ;; IR-NEXT: ret { i64, i64 }
  (func $results (export "results") (result i64 i64 i64) (return_call $three))
  (func $three (result i64 i64 i64) (i64.const 1) (i64.const 2) (i64.const 3)))
