// Strings: words of a generated text, counted in a hash table of strings, searched for, and written as numbers.
#include "kernels.h"
enum { kText = 8192, kBuckets = 256, kWords = 512 };
static u8 text[kText + 1], digits[16];
static struct {
  const u8* at;
  u32 length, count;
  int next;
} words[kWords];
static int buckets[kBuckets];
static u32 used;

static int equal(const u8* a, const u8* b, u32 length) {
  for (u32 i = 0; i < length; ++i)
    if (a[i] != b[i]) return 0;
  return 1;
}

static void count(const u8* at, u32 length) {
  u32 hash = 2166136261u;
  for (u32 i = 0; i < length; ++i) hash = (hash ^ at[i]) * 16777619u;
  int* link = &buckets[hash % kBuckets];
  while (*link >= 0) {
    if (words[*link].length == length && equal(words[*link].at, at, length)) {
      ++words[*link].count;
      return;
    }
    link = &words[*link].next;
  }
  if (used == kWords) return;
  words[used].at = at;
  words[used].length = length;
  words[used].count = 1;
  words[used].next = -1;
  *link = (int)used++;
}

static u32 occurrences(const u8* needle, u32 length) {
  u32 found = 0;
  for (u32 i = 0; i + length <= kText; ++i) found += text[i] == needle[0] && equal(text + i, needle, length);
  return found;
}

static u32 decimal(u32 value) {
  u32 length = 0;
  do digits[length++] = (u8)('0' + value % 10);
  while ((value /= 10) != 0);
  u32 sum = 0;
  for (u32 i = length; i-- > 0;) sum = sum * 31 + digits[i];
  return sum;
}

KERNEL(strings) {
  u32 seed = 42, sum = 0;
  for (u32 i = 0; i < kText; ++i) {
    seed = seed * 1664525u + 1013904223u;
    text[i] = "etaoin  shr dl "[(seed >> 24) % 15];
  }
  for (u32 round = 0; round < n; ++round) {
    text[round * 7 % kText] = (u8)('a' + round % 26);
    used = 0;
    for (int i = 0; i < kBuckets; ++i) buckets[i] = -1;
    for (u32 i = 0; i < kText;) {
      while (i < kText && text[i] == ' ') ++i;
      u32 start = i;
      while (i < kText && text[i] != ' ') ++i;
      if (i > start) count(text + start, i - start);
    }
    for (u32 i = 0; i < used; ++i) sum += decimal(words[i].count * (i + 1));
    sum += occurrences(words[round % used].at, words[round % used].length);
  }
  return sum;
}
