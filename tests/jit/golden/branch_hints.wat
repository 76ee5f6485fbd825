;; Branch hints become weights.
;; RUN: levels=0,1,2
(module
  (func $g (loop))  ;; not inlined
  ;; IR-LABEL: define {{.*}} @f1(
  ;; IR: br i1 {{.*}} !prof
  (func (export "hinted") (param i32)
    (@metadata.code.branch_hint "\00") (if (local.get 0) (then (call $g))))
  ;; IR-LABEL: define {{.*}} @f2(
  (func (export "plain") (param i32)
    (if (local.get 0) (then (call $g))))
  ;; IR: !{!"branch_weights", i32 {{1|2000}}, i32 {{1|2000}}}
)
