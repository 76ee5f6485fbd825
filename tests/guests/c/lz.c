// A small LZ77 compressor with hash chains, and back; the packed form is checked too.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kSize = 200000, kHash = 1 << 13, kWindow = 8192, kMinimum = 4, kMaximum = 4 + 127 };

static uint8_t text[kSize], packed[2 * kSize], unpacked[kSize];
static int32_t heads[kHash], previous[kSize];

static void write_text(void) {
  const char* words[] = {"tensor ", "memory ", "the ", "linear ", "of ",
                         "guest ",  "host ",   "and ", "trap\n",  "a "};
  uint32_t state = 99;
  for (int at = 0; at < kSize;) {
    state = state * 1103515245u + 12345u;
    const char* word = words[(state >> 16) % 10];
    for (; *word && at < kSize; word++) text[at++] = (uint8_t)*word;
    if ((state >> 20) % 50 == 0 && at < kSize) text[at++] = (uint8_t)(state >> 8);
  }
}

static uint32_t key(const uint8_t* p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v * 2654435761u >> 19;
}

static int match_length(int a, int b) {
  int n = 0;
  while (n < kMaximum && b + n < kSize && text[a + n] == text[b + n]) n++;
  return n;
}

static void remember(int at) {
  if (at + 4 > kSize) return;
  uint32_t h = key(text + at);
  previous[at] = heads[h];
  heads[h] = at;
}

// Token: 0xxxxxxx literal run of x + 1 bytes; 1xxxxxxx match of x + 4 bytes, then two bytes of distance.
static int pack(void) {
  memset(heads, 0xff, sizeof heads);
  int out = 0, literals = -1;
  for (int at = 0; at < kSize;) {
    int best = 0, distance = 0, tries = 16;
    if (at + 4 <= kSize)
      for (int c = heads[key(text + at)]; c >= 0 && at - c <= kWindow && tries--; c = previous[c]) {
        int n = match_length(c, at);
        if (n > best) best = n, distance = at - c;
      }
    if (best >= kMinimum) {
      packed[out++] = (uint8_t)(0x80 | (best - kMinimum));
      packed[out++] = (uint8_t)distance;
      packed[out++] = (uint8_t)(distance >> 8);
      for (int i = 0; i < best; i++) remember(at + i);
      at += best;
      literals = -1;
      continue;
    }
    if (literals < 0 || packed[literals] == 127) {
      literals = out++;
      packed[literals] = 0xff;
    }
    packed[literals]++;
    packed[out++] = text[at];
    remember(at++);
  }
  return out;
}

static int unpack(int size) {
  int out = 0;
  for (int at = 0; at < size;) {
    int token = packed[at++];
    if (token < 0x80) {
      memcpy(unpacked + out, packed + at, (size_t)token + 1);
      out += token + 1;
      at += token + 1;
    } else {
      int length = (token & 127) + kMinimum, distance = packed[at] | packed[at + 1] << 8;
      at += 2;
      for (; length--; out++) unpacked[out] = unpacked[out - distance];
    }
  }
  return out;
}

int main(void) {
  write_text();
  int size = pack();
  uint32_t check = 0;
  for (int i = 0; i < size; i++) check = (check << 7 | check >> 25) ^ packed[i];
  printf("packed to %d, check %08x\n", size, check);
  int back = unpack(size);
  printf("unpacked to %d, same %d\n", back, memcmp(text, unpacked, kSize) == 0);
  return 0;
}
