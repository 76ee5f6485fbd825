// Reads pictures of handwritten digits and says which digit each shows, through wasi-nn.
//
//   digits MODEL IMAGE.png...
//
// MODEL is the name of a model that the host knows (--nn-graph NAME=FILE), or else a file to load. Each
// picture is shown with the answer, all probabilities and the time of each phase. guest-rust/digits.rs is the
// same program and prints the same.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wasi_nn.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include "stb_image.h"

enum { kSide = 8, kClasses = 10, kMaxFile = 64 << 20 };

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void fail(const char* what, const char* why) {
  fprintf(stderr, "digits: %s: %s\n", what, why);
  exit(1);
}

static void check(const char* call, int32_t error) {
  static const char* const names[] = {
      "success",       "invalid_argument",      "invalid_encoding", "missing_memory", "busy",
      "runtime_error", "unsupported_operation", "too_large",        "not_found"};
  if (error == WASI_NN_SUCCESS) return;
  int known = error > 0 && (size_t)error < sizeof names / sizeof *names;
  fail(call, known ? names[error] : "unknown error");
}

// The whole file; the caller frees it.
static uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) fail(path, "cannot open");
  fseek(file, 0, SEEK_END);
  long length = ftell(file);
  if (length < 0 || length > kMaxFile) fail(path, "not a file of a sensible size");
  rewind(file);
  uint8_t* data = malloc((size_t)length + 1);
  if (!data || fread(data, 1, (size_t)length, file) != (size_t)length) fail(path, "cannot read");
  fclose(file);
  *size = (size_t)length;
  return data;
}

static wasi_nn_graph load_model(const char* model, const char** how) {
  wasi_nn_graph graph;
  *how = "load_by_name";
  int32_t error = wasi_nn_load_by_name(model, (uint32_t)strlen(model), &graph);
  if (error == WASI_NN_NOT_FOUND) {
    *how = "load";
    size_t size;
    uint8_t* data = read_file(model, &size);
    wasi_nn_builder builder = {data, (uint32_t)size};
    error = wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph);
    free(data);
  }
  check(*how, error);
  return graph;
}

// The mean of each of the 8x8 cells of a picture, 0 to 1.
static void reduce(const uint8_t* pixels, int width, int height, float image[kSide][kSide]) {
  for (int y = 0; y < kSide; y++)
    for (int x = 0; x < kSide; x++) {
      int x0 = x * width / kSide, x1 = (x + 1) * width / kSide;
      int y0 = y * height / kSide, y1 = (y + 1) * height / kSide;
      long sum = 0;
      for (int v = y0; v < y1; v++)
        for (int u = x0; u < x1; u++) sum += pixels[v * width + u];
      image[y][x] = (float)sum / (float)((x1 - x0) * (y1 - y0)) / 255.0f;
    }
}

static void print_row(const float row[kSide]) {
  static const char* const shades[] = {"  ", "░░", "▒▒", "▓▓", "██"};
  for (int x = 0; x < kSide; x++) fputs(shades[(int)(row[x] * 4.0f + 0.5f)], stdout);
}

static void classify(wasi_nn_context context, const char* path) {
  double t0 = now_ms();
  size_t size;
  uint8_t* file = read_file(path, &size);

  double t1 = now_ms();
  int width, height, channels;
  uint8_t* pixels = stbi_load_from_memory(file, (int)size, &width, &height, &channels, 1);
  if (!pixels) fail(path, stbi_failure_reason());
  if (width < kSide || height < kSide) fail(path, "smaller than 8x8 pixels");
  float image[kSide][kSide];
  reduce(pixels, width, height, image);

  double t2 = now_ms();
  const uint32_t dims[4] = {1, 1, kSide, kSide};
  wasi_nn_tensor input = {dims, 4, WASI_NN_F32, (const uint8_t*)image, sizeof image};
  check("set_input", wasi_nn_set_input(context, 0, &input));

  double t3 = now_ms();
  check("compute", wasi_nn_compute(context));

  double t4 = now_ms();
  float p[kClasses];
  uint32_t written;
  check("get_output", wasi_nn_get_output(context, 0, p, sizeof p, &written));
  if (written != sizeof p) fail("get_output", "the model does not have ten classes");

  double t5 = now_ms();
  int best = 0;
  for (int i = 1; i < kClasses; i++)
    if (p[i] > p[best]) best = i;

  char side[kSide][128] = {{0}};
  snprintf(side[0], sizeof side[0], "%s", path);
  snprintf(side[1], sizeof side[1], "digit %d (%.2f %%)", best, p[best] * 100.0);
  for (int row = 0; row < 2; row++) {
    int at = 0;
    for (int i = row * 5; i < row * 5 + 5; i++)
      at +=
          snprintf(side[3 + row] + at, sizeof side[0] - (size_t)at, "%s%d %.6f", i % 5 ? "  " : "", i, p[i]);
  }
  snprintf(side[6], sizeof side[6], "read %.3f ms, decode %.3f ms", t1 - t0, t2 - t1);
  snprintf(side[7], sizeof side[7], "set_input %.3f ms, compute %.3f ms, get_output %.3f ms", t3 - t2,
           t4 - t3, t5 - t4);
  for (int y = 0; y < kSide; y++) {
    print_row(image[y]);
    printf("   %s\n", side[y]);
  }
  printf("\n");
  stbi_image_free(pixels);
  free(file);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: digits MODEL IMAGE.png...\n");
    return 2;
  }
  double t0 = now_ms();
  const char* how;
  wasi_nn_graph graph = load_model(argv[1], &how);
  double t1 = now_ms();
  wasi_nn_context context;
  check("init_execution_context", wasi_nn_init_execution_context(graph, &context));
  printf("%s %.3f ms, init_execution_context %.3f ms\n\n", how, t1 - t0, now_ms() - t1);
  for (int i = 2; i < argc; i++) classify(context, argv[i]);
  return 0;
}
