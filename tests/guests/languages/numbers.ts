// An AssemblyScript guest: classes, generics, maps, sorting, strings, garbage collection, arguments and environment.
// expect: one,zwei GREETING=hello
// expect: the 5, dog 2, fox 2, lazy 1, over 1, quick 1
// expect: primes 168, the last 997
// expect: heap 3628800 true
// expect: -0.5 1e+21 0.1 2147483647 9223372036854775807
// expect: λ ß 𝄞 4 LAZY
// expect: boxes 2001700000
// exit: 7

class Counter {
  counts: Map<string, i32> = new Map<string, i32>();
  add(word: string): void {
    this.counts.set(word, this.counts.has(word) ? this.counts.get(word) + 1 : 1);
  }
  toString(): string {
    const words = this.counts.keys();
    words.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    let best = words.slice(0);
    for (let i = 1; i < best.length; ++i) {  // stable: by count, then by name
      for (let j = i; j > 0 && this.counts.get(best[j]) > this.counts.get(best[j - 1]); --j) {
        const swapped = best[j];
        best[j] = best[j - 1];
        best[j - 1] = swapped;
      }
    }
    let parts = new Array<string>();
    for (let i = 0; i < best.length; ++i) parts.push(best[i] + " " + this.counts.get(best[i]).toString());
    return parts.join(", ");
  }
}

class Box<T> {
  constructor(public value: T, public next: Box<T> | null) {}
}

function sieve(n: i32): Array<i32> {
  const composite = new Uint8Array(n);
  const primes = new Array<i32>();
  for (let i = 2; i < n; ++i) {
    if (composite[i]) continue;
    primes.push(i);
    for (let j = i * i; j < n; j += i) composite[j] = 1;
  }
  return primes;
}

function factorial(n: i64): i64 {
  return n < 2 ? 1 : n * factorial(n - 1);
}

const args = process.argv.slice(1);
console.log(args.join(",") + " GREETING=" + process.env.get("GREETING"));

const counter = new Counter();
const words = "the quick fox the lazy dog the fox over the dog the".split(" ");
for (let i = 0; i < words.length; ++i) counter.add(words[i]);
console.log(counter.toString());

const primes = sieve(1000);
console.log("primes " + primes.length.toString() + ", the last " + primes[primes.length - 1].toString());
console.log("heap " + factorial(10).toString() + " " + (Math.random() < 1.0).toString());
console.log((-0.5).toString() + " " + (1e21).toString() + " " + (0.1).toString() + " " + i32.MAX_VALUE.toString() + " " +
            i64.MAX_VALUE.toString());
const unicode = "λ ß 𝄞";
console.log(unicode + " " + String.UTF8.byteLength(unicode.slice(4)).toString() + " " + "lazy".toUpperCase());

let sum: i64 = 0;
for (let round = 0; round < 100; ++round) {  // garbage
  let list: Box<i32> | null = null;
  for (let i = 0; i < 2000; ++i) list = new Box<i32>(round * 2000 + i, list);
  let at = list;
  while (at) {
    if (at.value % 10 == 0 || round == 0) sum += at.value;
    at = at.next;
  }
}
console.log("boxes " + sum.toString());
process.exit(7);
