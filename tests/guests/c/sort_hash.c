// qsort, bsearch, a chained hash table and the string functions.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u; }

static int ascending(const void* a, const void* b) {
  int32_t x = *(const int32_t*)a, y = *(const int32_t*)b;
  return (x > y) - (x < y);
}

struct entry {
  struct entry* next;
  char key[16];
  int value;
};
static struct entry* table[257];

static uint32_t hash(const char* key) {
  uint32_t h = 2166136261u;
  for (; *key; key++) h = (h ^ (uint8_t)*key) * 16777619u;
  return h;
}

static struct entry* find(const char* key, int insert) {
  struct entry** at = &table[hash(key) % 257];
  for (; *at; at = &(*at)->next)
    if (strcmp((*at)->key, key) == 0) return *at;
  if (!insert) return NULL;
  *at = calloc(1, sizeof **at);
  strcpy((*at)->key, key);
  return *at;
}

int main(void) {
  static int32_t numbers[10000];
  for (int i = 0; i < 10000; i++) numbers[i] = (int32_t)next();
  int32_t wanted = numbers[1234];
  qsort(numbers, 10000, sizeof *numbers, ascending);
  int sorted = 1;
  for (int i = 1; i < 10000; i++) sorted &= numbers[i - 1] <= numbers[i];
  int32_t* found = bsearch(&wanted, numbers, 10000, sizeof *numbers, ascending);
  printf("sorted %d, first %d, last %d, found at %d\n", sorted, numbers[0], numbers[9999],
         (int)(found - numbers));

  for (int i = 0; i < 20000; i++) {
    char key[16];
    snprintf(key, sizeof key, "key%u", next() % 1000);
    find(key, 1)->value++;
  }
  int total = 0, distinct = 0;
  for (int i = 0; i < 257; i++)
    for (struct entry* e = table[i]; e; e = e->next) total += e->value, distinct++;
  struct entry* e = find("key500", 0);
  printf("total %d, distinct %d, key500 %d, absent %d\n", total, distinct, e ? e->value : -1,
         find("nokey", 0) == NULL);

  char text[64] = "alpha,beta;gamma delta";
  for (char* word = strtok(text, ",; "); word; word = strtok(NULL, ",; ")) printf("<%s>", word);
  printf("\n%s %s %d %zu %zu\n", strstr("haystack needle", "need"), strrchr("a/b/c", '/'),
         strncmp("abcd", "abcz", 3), strspn("aabbc", "ab"), strcspn("hello", "l"));
  printf("%ld %ld %lu %d\n", strtol("-123xyz", NULL, 10), strtol("7f", NULL, 16), strtoul("0777", NULL, 0),
         atoi("99"));
  return 0;
}
