;; The loops in which ApET spends its time, in 128-bit SIMD. Arguments are byte offsets into the memory,
;; but for counts and indices. Rows are padded with zeros to a multiple of 32 bytes.
;;
;; `npm run compile-kernels` writes row-kernel-code.ts from this file; a test says when it was forgotten.
(module
  (memory (export "memory") 1)

  ;; out[i] = x[i]·v for `count` float32 rows of `bytes` each; v and out are float64.
  (func (export "dots") (param $x i32) (param $count i32) (param $bytes i32) (param $v i32) (param $out i32)
    (local $end i32) (local $p i32) (local $rowEnd i32) (local $q i32)
    ;; Four sums, so that additions need not wait for each other.
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)
    (local.set $end (i32.add (local.get $x) (i32.mul (local.get $count) (local.get $bytes))))
    (loop $rows
      (local.set $p (local.get $x))
      (local.set $rowEnd (i32.add (local.get $x) (local.get $bytes)))
      (local.set $q (local.get $v))
      (local.set $sum0 (v128.const i64x2 0 0))
      (local.set $sum1 (v128.const i64x2 0 0))
      (local.set $sum2 (v128.const i64x2 0 0))
      (local.set $sum3 (v128.const i64x2 0 0))
      ;; Eight floats a step, two a sum.
      (loop $floats
        (local.set $sum0 (f64x2.add (local.get $sum0) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $p)))
          (v128.load align=8 (local.get $q)))))
        (local.set $sum1 (f64x2.add (local.get $sum1) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=8 (local.get $p)))
          (v128.load offset=16 align=8 (local.get $q)))))
        (local.set $sum2 (f64x2.add (local.get $sum2) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=16 (local.get $p)))
          (v128.load offset=32 align=8 (local.get $q)))))
        (local.set $sum3 (f64x2.add (local.get $sum3) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=24 (local.get $p)))
          (v128.load offset=48 align=8 (local.get $q)))))
        (local.set $p (i32.add (local.get $p) (i32.const 32)))
        (local.set $q (i32.add (local.get $q) (i32.const 64)))
        (br_if $floats (i32.lt_u (local.get $p) (local.get $rowEnd))))
      (local.set $sum0 (f64x2.add
        (f64x2.add (local.get $sum0) (local.get $sum1))
        (f64x2.add (local.get $sum2) (local.get $sum3))))
      (f64.store (local.get $out) (f64.add
        (f64x2.extract_lane 0 (local.get $sum0))
        (f64x2.extract_lane 1 (local.get $sum0))))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (local.set $x (local.get $rowEnd))
      (br_if $rows (i32.lt_u (local.get $x) (local.get $end)))))

  ;; out[i] = x[i]·x[i]
  (func (export "squares") (param $x i32) (param $count i32) (param $bytes i32) (param $out i32)
    (local $end i32) (local $p i32) (local $rowEnd i32)
    ;; Four sums, so that additions need not wait for each other.
    (local $sum0 v128) (local $sum1 v128) (local $sum2 v128) (local $sum3 v128)
    (local.set $end (i32.add (local.get $x) (i32.mul (local.get $count) (local.get $bytes))))
    (loop $rows
      (local.set $p (local.get $x))
      (local.set $rowEnd (i32.add (local.get $x) (local.get $bytes)))
      (local.set $sum0 (v128.const i64x2 0 0))
      (local.set $sum1 (v128.const i64x2 0 0))
      (local.set $sum2 (v128.const i64x2 0 0))
      (local.set $sum3 (v128.const i64x2 0 0))
      ;; Eight floats a step, two a sum.
      (loop $floats
        (local.set $sum0 (f64x2.add (local.get $sum0) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $p)))
          (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $p))))))
        (local.set $sum1 (f64x2.add (local.get $sum1) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=8 (local.get $p)))
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=8 (local.get $p))))))
        (local.set $sum2 (f64x2.add (local.get $sum2) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=16 (local.get $p)))
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=16 (local.get $p))))))
        (local.set $sum3 (f64x2.add (local.get $sum3) (f64x2.mul
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=24 (local.get $p)))
          (f64x2.promote_low_f32x4 (v128.load64_zero offset=24 (local.get $p))))))
        (local.set $p (i32.add (local.get $p) (i32.const 32)))
        (br_if $floats (i32.lt_u (local.get $p) (local.get $rowEnd))))
      (local.set $sum0 (f64x2.add
        (f64x2.add (local.get $sum0) (local.get $sum1))
        (f64x2.add (local.get $sum2) (local.get $sum3))))
      (f64.store (local.get $out) (f64.add
        (f64x2.extract_lane 0 (local.get $sum0))
        (f64x2.extract_lane 1 (local.get $sum0))))
      (local.set $out (i32.add (local.get $out) (i32.const 8)))
      (local.set $x (local.get $rowEnd))
      (br_if $rows (i32.lt_u (local.get $x) (local.get $end)))))

  ;; For each of four query rows at d: where d·t[i]·scale[i] is above best, that and the index first + i are
  ;; kept. `count` is even: targets go in pairs, so that eight products share the loads of six vectors.
  (func (export "nearest")
    (param $d i32) (param $bytes i32) (param $t i32) (param $count i32)
    (param $scale i32) (param $best i32) (param $index i32) (param $first i32)
    (local $p i32) (local $rowEnd i32)
    (local $query0 i32) (local $query1 i32) (local $query2 i32) (local $query3 i32)
    (local $target0 i32) (local $target1 i32) (local $end i32)
    (local $t0 v128) (local $t1 v128) (local $q v128)
    ;; $sumTQ: target T times query Q, four float32 partial sums.
    (local $sum00 v128) (local $sum01 v128) (local $sum02 v128) (local $sum03 v128)
    (local $sum10 v128) (local $sum11 v128) (local $sum12 v128) (local $sum13 v128)
    (local $score f64)
    (local.set $end (i32.add (local.get $t) (i32.mul (local.get $count) (local.get $bytes))))
    (loop $pairs
      (local.set $query0 (local.get $d))
      (local.set $query1 (i32.add (local.get $query0) (local.get $bytes)))
      (local.set $query2 (i32.add (local.get $query1) (local.get $bytes)))
      (local.set $query3 (i32.add (local.get $query2) (local.get $bytes)))
      (local.set $target0 (local.get $t))
      (local.set $target1 (i32.add (local.get $t) (local.get $bytes)))
      (local.set $p (local.get $target0))
      (local.set $rowEnd (local.get $target1))
      (local.set $sum00 (v128.const i64x2 0 0))
      (local.set $sum01 (v128.const i64x2 0 0))
      (local.set $sum02 (v128.const i64x2 0 0))
      (local.set $sum03 (v128.const i64x2 0 0))
      (local.set $sum10 (v128.const i64x2 0 0))
      (local.set $sum11 (v128.const i64x2 0 0))
      (local.set $sum12 (v128.const i64x2 0 0))
      (local.set $sum13 (v128.const i64x2 0 0))
      ;; Four floats of two targets and four queries a step.
      (loop $floats
        (local.set $t0 (v128.load align=8 (local.get $target0)))
        (local.set $t1 (v128.load align=8 (local.get $target1)))
        (local.set $q (v128.load align=8 (local.get $query0)))
        (local.set $sum00 (f32x4.add (local.get $sum00) (f32x4.mul (local.get $q) (local.get $t0))))
        (local.set $sum10 (f32x4.add (local.get $sum10) (f32x4.mul (local.get $q) (local.get $t1))))
        (local.set $query0 (i32.add (local.get $query0) (i32.const 16)))
        (local.set $q (v128.load align=8 (local.get $query1)))
        (local.set $sum01 (f32x4.add (local.get $sum01) (f32x4.mul (local.get $q) (local.get $t0))))
        (local.set $sum11 (f32x4.add (local.get $sum11) (f32x4.mul (local.get $q) (local.get $t1))))
        (local.set $query1 (i32.add (local.get $query1) (i32.const 16)))
        (local.set $q (v128.load align=8 (local.get $query2)))
        (local.set $sum02 (f32x4.add (local.get $sum02) (f32x4.mul (local.get $q) (local.get $t0))))
        (local.set $sum12 (f32x4.add (local.get $sum12) (f32x4.mul (local.get $q) (local.get $t1))))
        (local.set $query2 (i32.add (local.get $query2) (i32.const 16)))
        (local.set $q (v128.load align=8 (local.get $query3)))
        (local.set $sum03 (f32x4.add (local.get $sum03) (f32x4.mul (local.get $q) (local.get $t0))))
        (local.set $sum13 (f32x4.add (local.get $sum13) (f32x4.mul (local.get $q) (local.get $t1))))
        (local.set $query3 (i32.add (local.get $query3) (i32.const 16)))
        (local.set $target0 (i32.add (local.get $target0) (i32.const 16)))
        (local.set $target1 (i32.add (local.get $target1) (i32.const 16)))
        (br_if $floats (i32.lt_u (local.get $target0) (local.get $rowEnd))))
      ;; target 0, query 0
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum00)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum00))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum00)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum00)))))
        (f64.load (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load (local.get $best))) (then
        (f64.store (local.get $best) (local.get $score))
        (i32.store (local.get $index) (i32.add (local.get $first) (i32.const 0)))))
      ;; target 0, query 1
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum01)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum01))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum01)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum01)))))
        (f64.load (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=8 (local.get $best))) (then
        (f64.store offset=8 (local.get $best) (local.get $score))
        (i32.store offset=4 (local.get $index) (i32.add (local.get $first) (i32.const 0)))))
      ;; target 0, query 2
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum02)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum02))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum02)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum02)))))
        (f64.load (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=16 (local.get $best))) (then
        (f64.store offset=16 (local.get $best) (local.get $score))
        (i32.store offset=8 (local.get $index) (i32.add (local.get $first) (i32.const 0)))))
      ;; target 0, query 3
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum03)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum03))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum03)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum03)))))
        (f64.load (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=24 (local.get $best))) (then
        (f64.store offset=24 (local.get $best) (local.get $score))
        (i32.store offset=12 (local.get $index) (i32.add (local.get $first) (i32.const 0)))))
      ;; target 1, query 0
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum10)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum10))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum10)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum10)))))
        (f64.load offset=8 (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load (local.get $best))) (then
        (f64.store (local.get $best) (local.get $score))
        (i32.store (local.get $index) (i32.add (local.get $first) (i32.const 1)))))
      ;; target 1, query 1
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum11)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum11))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum11)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum11)))))
        (f64.load offset=8 (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=8 (local.get $best))) (then
        (f64.store offset=8 (local.get $best) (local.get $score))
        (i32.store offset=4 (local.get $index) (i32.add (local.get $first) (i32.const 1)))))
      ;; target 1, query 2
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum12)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum12))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum12)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum12)))))
        (f64.load offset=8 (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=16 (local.get $best))) (then
        (f64.store offset=16 (local.get $best) (local.get $score))
        (i32.store offset=8 (local.get $index) (i32.add (local.get $first) (i32.const 1)))))
      ;; target 1, query 3
      (local.set $score (f64.mul
        (f64.add
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 0 (local.get $sum13)))
            (f64.promote_f32 (f32x4.extract_lane 1 (local.get $sum13))))
          (f64.add
            (f64.promote_f32 (f32x4.extract_lane 2 (local.get $sum13)))
            (f64.promote_f32 (f32x4.extract_lane 3 (local.get $sum13)))))
        (f64.load offset=8 (local.get $scale))))
      (if (f64.gt (local.get $score) (f64.load offset=24 (local.get $best))) (then
        (f64.store offset=24 (local.get $best) (local.get $score))
        (i32.store offset=12 (local.get $index) (i32.add (local.get $first) (i32.const 1)))))
      (local.set $t (local.get $target1))
      (local.set $scale (i32.add (local.get $scale) (i32.const 16)))
      (local.set $first (i32.add (local.get $first) (i32.const 2)))
      (br_if $pairs (i32.lt_u (local.get $t) (local.get $end))))))
