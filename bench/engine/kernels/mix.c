// A mix like CoreMark's: a linked list searched, reversed and sorted, small integer matrices, numbers
// recognised by a state machine, and a CRC over everything.
#include "kernels.h"
typedef unsigned short u16;
typedef signed short i16;
typedef struct Node {
  struct Node* next;
  i16 key, value;
} Node;
enum { kNodes = 200, kSize = 12, kText = 512 };
static Node nodes[kNodes];
static i16 a[kSize][kSize], b[kSize][kSize];
static int c[kSize][kSize];
static u8 text[kText];

static u16 crc(u16 sum, u32 data) {
  for (int i = 0; i < 16; ++i) {
    u32 carry = (sum ^ data) & 1;
    sum >>= 1;
    data >>= 1;
    if (carry) sum ^= 0xa001;
  }
  return sum;
}

static Node* merge_sort(Node* list) {
  if (!list || !list->next) return list;
  Node *slow = list, *fast = list->next;
  while (fast && fast->next) {
    slow = slow->next;
    fast = fast->next->next;
  }
  Node* right = merge_sort(slow->next);
  slow->next = 0;
  Node* left = merge_sort(list);
  Node head = {0, 0, 0}, *tail = &head;
  while (left && right) {
    Node** from = left->key <= right->key ? &left : &right;
    tail->next = *from;
    tail = *from;
    *from = (*from)->next;
  }
  tail->next = left ? left : right;
  return head.next;
}

static u16 lists(u16 sum, u32 round) {
  Node* list = 0;
  for (int i = 0; i < kNodes; ++i) {
    nodes[i].key = (i16)((i * 37 + round * 11) % 255);
    nodes[i].value = (i16)i;
    nodes[i].next = list;
    list = &nodes[i];
  }
  for (int wanted = 0; wanted < 16; ++wanted) {
    Node* n = list;
    while (n && n->key != wanted * 16) n = n->next;
    sum = crc(sum, n ? (u32)n->value : 0xffff);
  }
  Node* reversed = 0;
  while (list) {
    Node* next = list->next;
    list->next = reversed;
    reversed = list;
    list = next;
  }
  for (Node* n = merge_sort(reversed); n; n = n->next) sum = (u16)(sum * 31 + (u16)n->value);
  return sum;
}

static u16 matrices(u16 sum, u32 round) {
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j) {
      a[i][j] = (i16)(i * 7 + j + (int)round);
      b[i][j] = (i16)(i - j * 3);
    }
  for (int i = 0; i < kSize; ++i)
    for (int j = 0; j < kSize; ++j) {
      int total = 0;
      for (int k = 0; k < kSize; ++k) total += a[i][k] * b[k][j];
      c[i][j] = total;
      sum = (u16)(sum + (u16)(total >> 3));
    }
  return crc(sum, (u32)c[3][4]);
}

static u16 numbers(u16 sum, u32 round) {
  for (int i = 0; i < kText; ++i) text[i] = "12,-3.5,+7e4,0x1f,.25,abc,"[((u32)i + round) % 26];
  enum { start, sign, integer, fraction, exponent, bad } state = start;
  u32 counts[6] = {0, 0, 0, 0, 0, 0};
  for (int i = 0; i < kText; ++i) {
    u8 ch = text[i];
    int digit = ch >= '0' && ch <= '9';
    if (ch == ',') {
      ++counts[state];
      state = start;
      continue;
    }
    switch (state) {
      case start: state = digit ? integer : ch == '.' ? fraction : ch == '+' || ch == '-' ? sign : bad; break;
      case sign: state = digit ? integer : ch == '.' ? fraction : bad; break;
      case integer: state = digit ? integer : ch == '.' ? fraction : ch == 'e' ? exponent : bad; break;
      case fraction: state = digit ? fraction : ch == 'e' ? exponent : bad; break;
      case exponent: state = digit ? exponent : bad; break;
      case bad: break;
    }
  }
  for (int i = 0; i < 6; ++i) sum = crc(sum, counts[i]);
  return sum;
}

KERNEL(mix) {
  u16 sum = 0;
  for (u32 round = 0; round < n; ++round) sum = numbers(matrices(lists(sum, round), round), round);
  return sum;
}
