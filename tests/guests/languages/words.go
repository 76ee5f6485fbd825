// A Go guest: the standard library over WASI. Files, JSON, hashes, maps, goroutines, timers, recovered panics.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"time"
)

type entry struct {
	Word  string `json:"word"`
	Count int    `json:"count"`
}

func count(text string) []entry {
	counts := map[string]int{}
	for _, word := range strings.Fields(text) {
		counts[word]++
	}
	var entries []entry
	for word, n := range counts {
		entries = append(entries, entry{word, n})
	}
	sort.Slice(entries, func(i, j int) bool {
		return entries[i].Count > entries[j].Count || entries[i].Count == entries[j].Count && entries[i].Word < entries[j].Word
	})
	return entries
}

func files() error {
	if err := os.MkdirAll("tree/a/b", 0o755); err != nil {
		return err
	}
	for i, name := range []string{"tree/one.txt", "tree/a/two.txt", "tree/a/b/three.txt"} {
		if err := os.WriteFile(name, []byte(strings.Repeat("x", 1000*i)), 0o644); err != nil {
			return err
		}
	}
	if err := os.Rename("tree/one.txt", "tree/a/b/one.txt"); err != nil {
		return err
	}
	err := filepath.WalkDir("tree", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			fmt.Println(path, info.Size())
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := os.Open("tree/nothing"); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening nothing: %v", err)
	}
	return os.RemoveAll("tree")
}

func primes(n int) int {
	out := make(chan int)
	go func() {
		for i := 2; i < n; i++ {
			out <- i
		}
		close(out)
	}()
	found := 0
	for {
		prime, ok := <-out
		if !ok {
			return found
		}
		found++
		next := make(chan int)
		go func(in <-chan int) {
			for i := range in {
				if i%prime != 0 {
					next <- i
				}
			}
			close(next)
		}(out)
		out = next
	}
}

func main() {
	fmt.Println(os.Args[1:], os.Getenv("GREETING"))
	text, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	encoded, _ := json.Marshal(count(text))
	fmt.Println(string(encoded))
	fmt.Printf("%x\n", sha256.Sum256([]byte(text)))
	if err := files(); err != nil {
		fmt.Println("files:", err)
		os.Exit(1)
	}
	factorial := new(big.Int).MulRange(1, 60)
	fmt.Println(factorial, primes(600))

	var sum int
	var lock sync.Mutex
	var all sync.WaitGroup
	for i := 0; i < 100; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			time.Sleep(time.Duration(i%5) * time.Millisecond)
			lock.Lock()
			sum += i
			lock.Unlock()
		}()
	}
	all.Wait()
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		var none []int
		fmt.Println(none[sum])
	}()
	select {
	case <-time.After(5 * time.Millisecond):
		fmt.Println("timer", sum)
	}
	os.Exit(7)
}
