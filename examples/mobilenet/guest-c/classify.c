// Names what a photograph shows: MobileNet v1 0.25 224 (1001 ImageNet classes) through wasi-nn.
//
//   classify MODEL LABELS.txt PICTURE.{jpg,png}
//
// MODEL is the name of a model that the host knows, or else a file to load. LABELS has one class a line. The
// network wants RGB, 224x224, channels first, x / 127.5 - 1. Prints the five best classes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasi_nn.h"

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include "stb_image.h"

enum { kSide = 224, kClasses = 1001, kBest = 5, kMaxFile = 64 << 20 };

static void fail(const char* what, const char* why) {
  fprintf(stderr, "classify: %s: %s\n", what, why);
  exit(1);
}

static void check(const char* call, int32_t error) {
  if (error == WASI_NN_SUCCESS) return;
  char text[32];
  snprintf(text, sizeof text, "wasi-nn error %d", (int)error);
  fail(call, text);
}

// The whole file with a zero behind it; the caller frees it.
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
  data[length] = 0;
  *size = (size_t)length;
  return data;
}

static wasi_nn_graph load_model(const char* model) {
  wasi_nn_graph graph;
  int32_t error = wasi_nn_load_by_name(model, (uint32_t)strlen(model), &graph);
  if (error == WASI_NN_NOT_FOUND) {
    size_t size;
    uint8_t* data = read_file(model, &size);
    wasi_nn_builder builder = {data, (uint32_t)size};
    error = wasi_nn_load(&builder, 1, WASI_NN_ONNX, WASI_NN_CPU, &graph);
    free(data);
  }
  check("load", error);
  return graph;
}

// One colour of the picture at (x, y), clamped to its edges.
static float sample(const uint8_t* rgb, int width, int height, int x, int y, int colour) {
  x = x < 0 ? 0 : x >= width ? width - 1 : x;
  y = y < 0 ? 0 : y >= height ? height - 1 : y;
  return rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)colour];
}

// Bilinear resize to 224x224 with pixel centres aligned, channels first, scaled to -1..1.
static void preprocess(const uint8_t* rgb, int width, int height, float* out) {
  for (int colour = 0; colour < 3; colour++)
    for (int y = 0; y < kSide; y++)
      for (int x = 0; x < kSide; x++) {
        float u = ((float)x + 0.5f) * (float)width / kSide - 0.5f;
        float v = ((float)y + 0.5f) * (float)height / kSide - 0.5f;
        int x0 = (int)(u + 1.0f) - 1, y0 = (int)(v + 1.0f) - 1;
        float fx = u - (float)x0, fy = v - (float)y0;
        float top = sample(rgb, width, height, x0, y0, colour) * (1 - fx) +
                    sample(rgb, width, height, x0 + 1, y0, colour) * fx;
        float bottom = sample(rgb, width, height, x0, y0 + 1, colour) * (1 - fx) +
                       sample(rgb, width, height, x0 + 1, y0 + 1, colour) * fx;
        *out++ = (top * (1 - fy) + bottom * fy) / 127.5f - 1.0f;
      }
}

// The text of line `index`, or "?" when there are fewer lines.
static void print_label(const char* labels, int index) {
  for (; index > 0 && labels; index--) {
    labels = strchr(labels, '\n');
    if (labels) labels++;
  }
  if (!labels || !*labels) labels = "?";
  printf("%.*s", (int)strcspn(labels, "\r\n"), labels);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: classify MODEL LABELS.txt PICTURE\n");
    return 2;
  }
  wasi_nn_context context;
  check("init_execution_context", wasi_nn_init_execution_context(load_model(argv[1]), &context));

  size_t size;
  char* labels = (char*)read_file(argv[2], &size);
  uint8_t* file = read_file(argv[3], &size);
  int width, height, channels;
  uint8_t* rgb = stbi_load_from_memory(file, (int)size, &width, &height, &channels, 3);
  if (!rgb) fail(argv[3], stbi_failure_reason());
  static float image[3 * kSide * kSide];
  preprocess(rgb, width, height, image);
  stbi_image_free(rgb);
  free(file);

  const uint32_t dims[4] = {1, 3, kSide, kSide};
  wasi_nn_tensor input = {dims, 4, WASI_NN_F32, (const uint8_t*)image, sizeof image};
  check("set_input", wasi_nn_set_input(context, 0, &input));
  check("compute", wasi_nn_compute(context));
  static float p[kClasses];
  uint32_t written;
  check("get_output", wasi_nn_get_output(context, 0, p, sizeof p, &written));
  if (written != sizeof p) fail("get_output", "the model does not have 1001 classes");

  for (int rank = 1; rank <= kBest; rank++) {
    int best = 0;
    for (int i = 1; i < kClasses; i++)
      if (p[i] > p[best]) best = i;
    printf("%d. [%d] %.4f ", rank, best, p[best]);
    print_label(labels, best);
    printf("\n");
    p[best] = -1.0f;
  }
  free(labels);
  return 0;
}
