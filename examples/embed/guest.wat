;; The guest of the examples: a library of a few functions, which is also a WASI command.
(module
  (import "host" "log" (func $log (param i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "dividing")
  (data (i32.const 16) "hello from the guest\n")
  (data (i32.const 48) "\10\00\00\00\15\00\00\00")  ;; an iovec: the text above

  (func $divide (export "divide") (param i32 i32) (result i32)
    (call $log (i32.const 0) (i32.const 8))
    (i32.div_s (local.get 0) (local.get 1)))

  ;; Sum of `n` 32-bit numbers at `at`.
  (func (export "sum") (param $at i32) (param $n i32) (result i64) (local $sum i64)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $n)))
        (local.set $sum (i64.add (local.get $sum) (i64.load32_s (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $sum))

  (func (export "spin") (loop $for_ever (br $for_ever)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))

  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 48) (i32.const 1) (i32.const 64)))))
