// Floating point: formatting, parsing, rounding, special values, conversions. NaN signs are never printed:
// they are free.
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile double zero = 0.0;

static uint64_t bits(double x) {
  uint64_t b;
  memcpy(&b, &x, 8);
  return b;
}

int main(void) {
  printf("%f %e %g %a\n", 1.0 / 3, 1.0 / 3, 1.0 / 3, 1.0 / 3);
  printf("%.17g %.17g %.3f %.0f %.0f\n", 0.1, 1e23, 2.0005, 0.5, 1.5);
  printf("%g %g %g %g\n", DBL_MAX, DBL_MIN, FLT_MAX, 5e-324);
  printf("%g %g %d %d\n", 1 / zero, -1 / zero, isnan(zero / zero) != 0, signbit(-zero) != 0);
  const char* texts[] = {"3.14159", "-1e-3", "0x1.8p3", "inf", "1e400", "2.2250738585072011e-308", "12abc"};
  for (int i = 0; i < 7; i++) {
    char* end;
    double value = strtod(texts[i], &end);
    printf("%s -> %.17g rest '%s'\n", texts[i], value, end);
  }
  double values[] = {2.5, -2.5, 3.5, 0.49999999999999994, -0.5, 1e15 + 0.5, 4503599627370497.5};
  for (int i = 0; i < 7; i++) {
    volatile double v = values[i];
    printf("%.17g: floor %g ceil %g trunc %g rint %g round %g\n", v, floor(v), ceil(v), trunc(v), rint(v),
           round(v));
  }
  printf("%.15g %.15g %.15g %.15g\n", sqrt(2.0), fabs(-1.5), copysign(3.0, -zero), fmod(10.5, 3.0));
  printf("%.12g %.12g %.12g %.12g %.12g\n", sin(1.0), cos(1.0), exp(1.0), log(10.0), pow(2.0, 0.5));
  printf("%.12g %.12g %.12g %.12g\n", atan2(1.0, -1.0), tanh(0.5), cbrt(27.0), hypot(3.0, 4.0));
  volatile float f = 16777217.0f;
  volatile double d = 0.1;
  printf("%.9g %.9g %.17g\n", f, (float)d, (double)(float)d);
  volatile double big = 3e9, negative = -3.7;
  printf("%d %u %lld %d\n", (int)negative, (unsigned)big, (long long)(big * 1e6), (int)(uint8_t)(int)200.9);
  volatile uint64_t wide = 0xfffffffffffffbffull;
  volatile int64_t low = INT64_MIN;
  printf("%.17g %.17g %.9g\n", (double)wide, (double)low, (float)wide);
  printf("%016llx %016llx\n", (unsigned long long)bits(0.1 + 0.2), (unsigned long long)bits(zero * -1));
  volatile double a = 1e308, b = 1e-308;
  printf("%g %g %.17g\n", a * 10, b / 1e10, a * b);
  printf("%g %g %g\n", fmin(1.0, zero / zero), fmax(-1.0, zero / zero), fmin(2.0, -3.0));
  int exponent;
  printf("%.17g %d %.17g\n", frexp(48.0, &exponent), exponent, ldexp(0.75, -1070));
  return 0;
}
