package state

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// prefetch has the kernel read a file from its beginning to its end while its pages
// are looked at in the order of the tree, which is no order of the disk: after a
// start of the machine it takes a tenth of the time. A file that does not fit into
// the memory that is free is left alone. stop ends it and waits.
func prefetch(f *os.File) (stop func()) {
	const step = 8 << 20
	info, err := f.Stat()
	if err != nil || !fitsMemory(info.Size()) {
		return func() {}
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for at := int64(0); at < info.Size(); at += step {
			select {
			case <-quit:
				return
			default:
			}
			if unix.Fadvise(int(f.Fd()), at, step, unix.FADV_WILLNEED) != nil {
				return // a hint: where it is refused the pages come one by one
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}

// fitsMemory tells whether so many bytes fit into half of what the kernel could use
// as cache.
func fitsMemory(size int64) bool {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64) // the kernel writes numbers
			return size < kib<<10/2
		}
	}
	return false
}

// pageRange collects pages of bbolt's mapping that were read once and are not
// needed again. Forgetting them takes them out of this process's memory (not out
// of the kernel's cache): reading gigabytes in the background must not show as
// memory of the node, nor push out what is in use.
type pageRange struct {
	base, end uintptr // of the mapping, while the transaction lasts

	from unsafe.Pointer
	size uintptr
}

func (r *pageRange) init(tx *bbolt.Tx) {
	r.base = tx.DB().Info().Data
	r.end = r.base + uintptr(tx.Size())
}

// add takes the pages of a record. One that does not lie in the mapping (bbolt
// copies some) is left alone: its page may hold anything.
func (r *pageRange) add(rec []byte) {
	start := unsafe.Pointer(unsafe.SliceData(rec))
	if len(rec) == 0 || uintptr(start) < r.base || uintptr(start)+uintptr(len(rec)) > r.end {
		return
	}
	page := uintptr(os.Getpagesize())
	lead := uintptr(start) % page
	start = unsafe.Add(start, -int(lead))
	size := (lead + uintptr(len(rec)) + page - 1) / page * page
	if r.from != nil {
		begin := uintptr(start) - uintptr(r.from)
		if uintptr(start) >= uintptr(r.from) && begin <= r.size {
			r.size = max(r.size, begin+size)
			return
		}
		r.forget()
	}
	r.from, r.size = start, size
}

// forget gives the pages back.
func (r *pageRange) forget() {
	if r.from == nil {
		return
	}
	// A hint: where it is refused the pages stay.
	_ = syscall.Madvise(unsafe.Slice((*byte)(r.from), int(r.size)), syscall.MADV_DONTNEED)
	r.from, r.size = nil, 0
}
