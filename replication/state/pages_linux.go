package state

import (
	"os"
	"syscall"
	"unsafe"

	"go.etcd.io/bbolt"
)

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
