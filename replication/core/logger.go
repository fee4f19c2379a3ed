package core

import (
	"context"
	"fmt"
	"log/slog"
)

// raftLogger passes raft's log on. raft calls ordinary turns of an election
// "info"; with hundreds of groups they are debug messages here.
type raftLogger struct{ l *slog.Logger }

func (r raftLogger) logf(level slog.Level, format string, v ...any) {
	if r.l.Enabled(context.Background(), level) {
		r.l.Log(context.Background(), level, fmt.Sprintf(format, v...))
	}
}

func (r raftLogger) log(level slog.Level, v ...any) {
	if r.l.Enabled(context.Background(), level) {
		r.l.Log(context.Background(), level, fmt.Sprint(v...))
	}
}

func (r raftLogger) Debug(v ...any)                 { r.log(slog.LevelDebug-4, v...) }
func (r raftLogger) Debugf(format string, v ...any) { r.logf(slog.LevelDebug-4, format, v...) }
func (r raftLogger) Info(v ...any)                  { r.log(slog.LevelDebug, v...) }
func (r raftLogger) Infof(format string, v ...any)  { r.logf(slog.LevelDebug, format, v...) }
func (r raftLogger) Warning(v ...any)               { r.log(slog.LevelDebug, v...) }
func (r raftLogger) Warningf(format string, v ...any) {
	r.logf(slog.LevelDebug, format, v...)
}
func (r raftLogger) Error(v ...any)                 { r.log(slog.LevelWarn, v...) }
func (r raftLogger) Errorf(format string, v ...any) { r.logf(slog.LevelWarn, format, v...) }

// raft ends the program on Fatal; here it may only end the node, which recovers
// from the panic (see replication.Node).
func (r raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (r raftLogger) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (r raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (r raftLogger) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
