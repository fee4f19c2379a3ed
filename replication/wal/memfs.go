package wal

// MemFS is a file system in memory that can crash. Safe for concurrent use.
type MemFS struct{ FS }

// Op names an operation of MemFS for the Inject hook.
type Op uint8

// The operations a hook sees. Reads are not hooked.
const (
	OpCreate Op = iota + 1
	OpAllocate
	OpWrite
	OpSync // Sync and Datasync
	OpRename
	OpRemove
	OpSyncDir
)

// NewMemFS returns an empty file system without a limit of room.
func NewMemFS() *MemFS { return &MemFS{} }

// Crash forgets what was not synced: each unsynced write is lost, kept, or torn
// at 512-byte sectors, and a tail of the unsynced directory changes is undone,
// as the seed decides. Open files become unusable.
func (m *MemFS) Crash(seed uint64) { panic("unfinished") }

// SetCapacity limits the bytes of all files; beyond it operations fail with
// syscall.ENOSPC. 0: no limit.
func (m *MemFS) SetCapacity(bytes int64) { panic("unfinished") }

// Inject sets a hook that is called before each operation that changes
// something; an error from it is the operation's result and the operation does
// nothing. nil removes the hook.
func (m *MemFS) Inject(hook func(op Op, name string) error) { panic("unfinished") }
