// Clocks go forward, sleeping takes its time, random bytes differ.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void) {
  double t0 = now(), t1 = now();
  printf("monotonic %d\n", t1 >= t0);
  struct timespec wait = {0, 20 * 1000 * 1000};
  printf("nanosleep %d\n", nanosleep(&wait, NULL));
  double slept = now() - t1;
  printf("slept long enough %d, not for ever %d\n", slept >= 0.0199, slept < 10);
  printf("after 2020: %d\n", time(NULL) > 1577836800);
  struct timespec resolution;
  printf("resolution %d %d\n", clock_getres(CLOCK_REALTIME, &resolution), resolution.tv_nsec > 0);
  unsigned char a[32] = {0}, b[32] = {0};
  printf("getentropy %d %d\n", getentropy(a, sizeof a), getentropy(b, sizeof b));
  printf("random bytes differ %d\n", memcmp(a, b, sizeof a) != 0);
  return 0;
}
