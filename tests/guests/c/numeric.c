// Numeric kernels in double precision: n bodies, spectral norm, LU decomposition, Mandelbrot, Romberg
// integration.
#include <math.h>
#include <stdio.h>

static double position[5][3] = {
    {0, 0, 0}, {4.84, -1.16, -0.10}, {8.34, 4.12, -0.40}, {12.89, -15.11, -0.22}, {15.37, -25.9, 0.179}};
static double velocity[5][3] = {
    {0, 0, 0}, {0.6, 2.8, -0.02}, {-1.01, 1.8, 0.008}, {1.08, 0.868, -0.01}, {0.979, 0.594, -0.034}};
static const double mass[5] = {39.47, 0.03769, 0.011286, 0.0017237, 0.0020336};

static void step(double dt) {
  for (int i = 0; i < 5; i++)
    for (int j = i + 1; j < 5; j++) {
      double d[3], square = 0;
      for (int c = 0; c < 3; c++) d[c] = position[i][c] - position[j][c], square += d[c] * d[c];
      double force = dt / (square * sqrt(square));
      for (int c = 0; c < 3; c++)
        velocity[i][c] -= d[c] * mass[j] * force, velocity[j][c] += d[c] * mass[i] * force;
    }
  for (int i = 0; i < 5; i++)
    for (int c = 0; c < 3; c++) position[i][c] += dt * velocity[i][c];
}

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static double spectral_norm(void) {
  enum { n = 40 };
  double u[n], v[n], t[n];
  for (int i = 0; i < n; i++) u[i] = 1;
  for (int round = 0; round < 20; round++) {
    double* from = round % 2 ? v : u;
    double* to = round % 2 ? u : v;
    for (int i = 0; i < n; i++) {
      t[i] = 0;
      for (int j = 0; j < n; j++) t[i] += element(i, j) * from[j];
    }
    for (int i = 0; i < n; i++) {
      to[i] = 0;
      for (int j = 0; j < n; j++) to[i] += element(j, i) * t[j];
    }
  }
  double uv = 0, vv = 0;
  for (int i = 0; i < n; i++) uv += u[i] * v[i], vv += v[i] * v[i];
  return sqrt(uv / vv);
}

static double determinant(void) {
  enum { n = 12 };
  double a[n][n], det = 1;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n; j++) a[i][j] = (i == j ? 5 : 0) + ((i * 7 + j * 3) % 11) / 11.0;
  for (int p = 0; p < n; p++) {
    int best = p;
    for (int i = p + 1; i < n; i++)
      if (fabs(a[i][p]) > fabs(a[best][p])) best = i;
    if (best != p) {
      for (int j = 0; j < n; j++) {
        double swap = a[p][j];
        a[p][j] = a[best][j];
        a[best][j] = swap;
      }
      det = -det;
    }
    det *= a[p][p];
    for (int i = p + 1; i < n; i++) {
      double factor = a[i][p] / a[p][p];
      for (int j = p; j < n; j++) a[i][j] -= factor * a[p][j];
    }
  }
  return det;
}

int main(void) {
  for (int i = 0; i < 1000; i++) step(0.01);
  for (int i = 0; i < 5; i++) printf("%.17g %.17g %.17g\n", position[i][0], position[i][1], position[i][2]);
  printf("%.17g\n%.17g\n", spectral_norm(), determinant());
  for (int y = 0; y < 12; y++) {
    for (int x = 0; x < 40; x++) {
      double re = 0, im = 0;
      int n = 0;
      for (; n < 35 && re * re + im * im < 4; n++) {
        double next = re * re - im * im + (x - 28) / 13.0;
        im = 2 * re * im + (y - 6) / 5.0;
        re = next;
      }
      putchar(" .:-=+*#%@"[n * 9 / 35]);
    }
    printf("|\n");
  }
  float single = 0;
  for (int i = 1; i < 10000; i++) single += 1.0f / (float)(i * i);
  printf("%.9g\n", single);
  return 0;
}
