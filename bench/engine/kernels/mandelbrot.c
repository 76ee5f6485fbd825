// Floating point in registers: points of the Mandelbrot set on an n × n grid.
#include "kernels.h"
KERNEL(mandelbrot) {
  u32 inside = 0;
  for (u32 py = 0; py < n; ++py)
    for (u32 px = 0; px < n; ++px) {
      double cx = 3.0 * px / n - 2.0, cy = 2.0 * py / n - 1.0, x = 0, y = 0;
      u32 i = 0;
      while (i < 100 && x * x + y * y < 4.0) {
        double t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
        ++i;
      }
      inside += i;
    }
  return inside;
}
