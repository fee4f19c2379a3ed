package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rosterdb/rosterdb/appclient"
	"github.com/rosterdb/rosterdb/internal/op"
	"github.com/rosterdb/rosterdb/ring"
)

func file(t testing.TB, objects []Object) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Cluster: "c", Time: 5, Partitions: 7, Indexes: []ring.Index{{Name: "i", ID: 1, Field: "f"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range objects {
		if err := w.Write(&objects[i]); err != nil {
			t.Fatal(err)
		}
	}
	if end, err := w.Close(); err != nil || end.Objects != int64(len(objects)) {
		t.Fatalf("%+v, %v", end, err)
	}
	return b.Bytes()
}

func some(n int) []Object {
	var out []Object
	for i := range n {
		o := Object{Root: fmt.Sprint("root ", i/3), Path: fmt.Sprint("p", i), Version: uint64(i), Refs: []Ref{{Root: "<r>"}}}
		o.SetValue([]byte{byte(i), byte(2 * i)})
		out = append(out, o)
	}
	return out
}

// TestWhatIsWrittenIsRead whatever bytes a value has.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.SliceOf(rapid.Byte()).Draw(rt, "value")
		o := Object{Root: "r", Path: rapid.StringMatching(`[ -~äöü]{0,20}`).Draw(rt, "path"), Expires: 7}
		o.SetValue(value)
		r, err := NewReader(bytes.NewReader(file(t, []Object{o})))
		if err != nil {
			rt.Fatal(err)
		}
		got, err := r.Next()
		if err != nil || got.Path != o.Path || !bytes.Equal(got.Value(), value) || got.Expires != 7 {
			rt.Fatalf("%+v, %v", got, err)
		}
		if r.Header.Partitions != 7 || len(r.Header.Indexes) != 1 {
			rt.Fatalf("%+v", r.Header)
		}
	})
}

// TestTornFilesAreRefused: cut anywhere, or with any byte flipped.
func TestTornFilesAreRefused(t *testing.T) {
	whole := file(t, some(5))
	if _, end, err := Verify(bytes.NewReader(whole), false); err != nil || end.Objects != 5 {
		t.Fatalf("whole: %+v, %v", end, err)
	}
	for n := range len(whole) - 1 { // without its very last line end it is whole
		if _, _, err := Verify(bytes.NewReader(whole[:n]), false); !errors.Is(err, ErrTorn) && !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d of %d: %v", n, len(whole), err)
		}
	}
	for i := range len(whole) - 1 {
		bad := bytes.Clone(whole)
		bad[i] ^= 0x10
		if _, _, err := Verify(bytes.NewReader(bad), false); err == nil {
			t.Fatalf("a flipped bit in byte %d, %q: taken", i, whole[i])
		}
	}
	lines := strings.SplitAfter(string(whole), "\n")
	lines[1], lines[2] = lines[2], lines[1]
	if _, _, err := Verify(strings.NewReader(strings.Join(lines, "")), false); !errors.Is(err, ErrTorn) {
		t.Errorf("lines in another order: %v", err)
	}
	if _, _, err := Verify(strings.NewReader(string(whole)+"{}\n"), false); !errors.Is(err, ErrTorn) {
		t.Errorf("more behind the end: %v", err)
	}
	if _, _, err := Verify(strings.NewReader("root,path,value\n"), false); !errors.Is(err, ErrFormat) {
		t.Errorf("another file: %v", err)
	}
}

// TestOwnFilesNeedNoChecksum: where that is asked for, and only without the header
// of a cluster.
func TestOwnFilesNeedNoChecksum(t *testing.T) {
	const header, rest = `{"format":"rosterdb-objects","version":1`, "}\n" + `{"root":"a","path":"b","text":"hello"}` + "\n"
	const end = `{"end":true,"objects":1,"bytes":5}` + "\n"
	if _, got, err := Verify(strings.NewReader(header+rest+end), true); err != nil || !got.Unchecked || len(got.Checksum) != 16 {
		t.Errorf("one's own: %+v, %v", got, err)
	}
	for name, c := range map[string]struct {
		text string
		own  bool
	}{
		"not asked for":  {header + rest + end, false},
		"of a cluster":   {header + `,"cluster":"x"` + rest + end, true},
		"wrong checksum": {header + rest + `{"end":true,"objects":1,"bytes":5,"checksum":"0"}` + "\n", true},
		"wrong count":    {header + rest + `{"end":true,"objects":2,"bytes":5}` + "\n", true},
		"cut":            {header + rest, true},
	} {
		if _, _, err := Verify(strings.NewReader(c.text), c.own); !errors.Is(err, ErrTorn) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// memory is a Store that fails when it is told to.
type memory struct {
	mu     sync.Mutex
	roots  map[string]int // mutations
	writes int
	fail   int // this write, counted from 1
	most   int // mutations in a write
}

func (m *memory) Write(_ context.Context, root string, muts []appclient.Mutation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes++; m.writes == m.fail {
		return errors.New("on fire")
	}
	m.roots[root] += len(muts)
	m.most = max(m.most, len(muts))
	return nil
}

// TestReferencesTakeRoom: objects with many references are written in batches that the
// store takes.
func TestReferencesTakeRoom(t *testing.T) {
	refs := make([]Ref, 500)
	for i := range refs {
		refs[i] = Ref{Root: strings.Repeat("&", 400), Path: strings.Repeat("p", 1000)}
	}
	objects := make([]Object, 20)
	for i := range objects {
		objects[i] = Object{Root: "links", Path: fmt.Sprint(i), Refs: refs}
	}
	r, err := NewReader(bytes.NewReader(file(t, objects)))
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{roots: make(map[string]int)}
	if _, err := Load(t.Context(), r, m, 0, time.Now, func(Loaded) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if m.roots["links"] != len(objects) || m.most*500*1400 > op.MaxBatch {
		t.Errorf("%d objects written, up to %d at a time", m.roots["links"], m.most)
	}
}

// TestLoadGoesOnWhereItWas: what was noted as written is not written again, and
// nothing else is left out.
func TestLoadGoesOnWhereItWas(t *testing.T) {
	const objects = 3 * windowObjects
	whole := file(t, some(objects))
	load := func(m *memory, skip int64) (noted int64, err error) {
		r, err := NewReader(bytes.NewReader(whole))
		if err != nil {
			t.Fatal(err)
		}
		noted = skip
		_, err = Load(t.Context(), r, m, skip, time.Now, func(l Loaded) error {
			noted = max(noted, l.Objects)
			return nil
		})
		return noted, err
	}
	first := &memory{roots: make(map[string]int), fail: windowObjects/3 + 500} // in the second window
	noted, err := load(first, 0)
	if err == nil || noted != windowObjects {
		t.Fatalf("noted %d, %v", noted, err)
	}
	second := &memory{roots: make(map[string]int)}
	if noted, err = load(second, noted); err != nil || noted != objects {
		t.Fatalf("noted %d, %v", noted, err)
	}
	written := 0
	for _, n := range second.roots {
		written += n
	}
	if written != objects-windowObjects {
		t.Errorf("%d objects written in the second try, want %d", written, objects-windowObjects)
	}
}

func TestExpiredObjectsStayAway(t *testing.T) {
	now := time.UnixMilli(1000)
	objects := []Object{{Root: "a", Path: "gone", Expires: 1000}, {Root: "a", Path: "lives", Expires: 1001}, {Root: "a", Path: "twice"}, {Root: "a", Path: "twice"}}
	r, err := NewReader(bytes.NewReader(file(t, objects)))
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{roots: make(map[string]int)}
	l, err := Load(t.Context(), r, m, 0, func() time.Time { return now }, func(Loaded) error { return nil })
	if err != nil || l.Objects != 4 || l.Expired != 1 || m.roots["a"] != 3 || m.writes != 2 {
		t.Errorf("%+v, %v, %v in %d writes", l, err, m.roots, m.writes)
	}
}

// slow is a Store whose writes take a second each, by the clock of its test.
type slow struct {
	memory
	now time.Time
	got []appclient.Mutation
	at  []time.Time // that each was sent
}

func (s *slow) Write(ctx context.Context, root string, muts []appclient.Mutation) error {
	for _, m := range muts {
		s.got, s.at = append(s.got, m), append(s.at, s.now)
	}
	s.now = s.now.Add(time.Second)
	return s.memory.Write(ctx, root, muts)
}

// TestExpiryStays: however long what is before it takes, an object that is written expires
// when it did; one whose end has come meanwhile is left out.
func TestExpiryStays(t *testing.T) {
	s := &slow{memory: memory{roots: make(map[string]int)}, now: time.UnixMilli(1000)}
	// The same path each time, so that each is a write of its own.
	objects := []Object{{Root: "a", Path: "p", Expires: 9000}, {Root: "a", Path: "p", Expires: 9000}, {Root: "a", Path: "p", Expires: 9000}, {Root: "a", Path: "p", Expires: 3500}}
	r, err := NewReader(bytes.NewReader(file(t, objects)))
	if err != nil {
		t.Fatal(err)
	}
	// A root is written by one goroutine, so nothing else looks at the clock meanwhile.
	l, err := Load(t.Context(), r, s, 0, func() time.Time { return s.now }, func(Loaded) error { return nil })
	if err != nil || l.Expired != 1 || len(s.got) != 3 {
		t.Fatalf("%+v, %v, %d writes", l, err, len(s.got))
	}
	for i, m := range s.got {
		if want := appclient.Put("p", []byte{}, appclient.WithTTL(time.UnixMilli(9000).Sub(s.at[i]))); !reflect.DeepEqual(m, want) {
			t.Errorf("object %d, sent at %v: %+v, want %+v", i, s.at[i], m, want)
		}
	}
}

// TestWrongObjectsAreRefused before anything of their file is written, with their line.
func TestWrongObjectsAreRefused(t *testing.T) {
	const header, good = `{"format":"rosterdb-objects","version":1}` + "\n", `{"root":"a","text":"x"}` + "\n"
	for name, bad := range map[string]string{
		"a misspelt member":      `{"root":"a","txt":"x"}`,
		"text and base64":        `{"root":"a","text":"x","base64":"eA=="}`,
		"no root":                `{"path":"a"}`,
		"a control character":    `{"root":"a\u0001"}`,
		"another type":           `{"root":"a","expires":"soon"}`,
		"a value of 2 MiB":       `{"root":"a","text":"` + strings.Repeat("x", 2<<20) + `"}`,
		"a reference to nothing": `{"root":"a","refs":[{"root":""}]}`,
		"a misspelt reference":   `{"root":"a","refs":[{"root":"b","pth":"c"}]}`,
		"counts of the end":      `{"root":"a","objects":3}`,
		"a lone surrogate":       `{"root":"a","path":"\ud800x"}`,
		"a low surrogate":        `{"root":"a","path":"\udc00"}`,
		"two high surrogates":    `{"root":"a","path":"\ud800\ud83d\ude00"}`,
		"a surrogate at the end": `{"root":"a","text":"\ud83d"}`,
		"a value of half a char": `{"root":"a","text":"\"\ud83d\n"}`,
		"a name of other case":   `{"root":"a","Path":"x"}`,
		"a name that folds":      `{"root":"a","refſ":[]}`,
		"a member twice":         `{"root":"a","path":"x","path":"y"}`,
		"no date":                `{"root":"a","expires":-1}`,
		"a date too far":         fmt.Sprintf(`{"root":"a","expires":%d}`, time.Now().Add(24*time.Hour).UnixMilli()+op.MaxTTL),
		"base64 of line ends":    `{"root":"a","base64":"eH\nk="}`,
		"base64 of two writings": `{"root":"a","base64":"eB=="}`,
		"base64 unpadded":        `{"root":"a","base64":"eA"}`,
		"of a reference, twice":  `{"root":"a","refs":[{"root":"b","root":"c"}]}`,
	} {
		text := header + good + bad + "\n" + `{"end":true,"objects":2,"bytes":2}` + "\n"
		if _, _, err := Verify(strings.NewReader(text), true); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, fine := range []string{
		`{"root":"a","path":"\ud83d\ude00"}`, `{ "root" : "a" , "text" : "\\ud800 \"path\":" }`,
		`{"root":"a","base64":"eA=="}`, `{"root":"a","base64":"","text":"x"}`, `{"root":"a"}`,
		`{"root":"a","refs":[{"root":"b"},{"root":"c"}],"text":"{\"root\":1,\"root\":2}"}`, `{"root":"path","path":"path"}`,
	} {
		if o, _, err := parseLine([]byte(fine)); err != nil || o == nil {
			t.Errorf("%s: %v", fine, err)
		}
	}
	for name, bad := range map[string]string{"no JSON": `{"root":"a"`, "no UTF-8": "{\"root\":\"a\xff\"}", "two objects": `{"root":"a"}{"root":"b"}`} {
		if _, _, err := Verify(strings.NewReader(header+good+bad+"\n"), true); !errors.Is(err, ErrTorn) || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongHeadersAreRefused: what no store would take of indexes and grants is known before
// anything of the file is written.
func TestWrongHeadersAreRefused(t *testing.T) {
	const end = `{"end":true,"objects":0,"bytes":0}` + "\n"
	many := func(n int, of string) string { return strings.Repeat(of+",", n-1) + of }
	header := func(members string) string {
		return `{"format":"rosterdb-objects","version":1,` + members + "}\n" + end
	}
	numbered := make([]string, 70)
	for i := range numbered {
		numbered[i] = fmt.Sprintf(`{"name":"i%d","field":"f"}`, i)
	}
	grants := make([]string, 1025)
	for i := range grants {
		grants[i] = fmt.Sprintf(`{"account":"a%d@b"}`, i)
	}
	for name, bad := range map[string]string{
		"too many indexes":      `"indexes":[` + strings.Join(numbered, ",") + `]`,
		"an index of no field":  `"indexes":[{"name":"i"}]`,
		"two definitions":       `"indexes":[{"name":"i","field":"f"},{"name":"i","field":"g"}]`,
		"too many grants":       `"access":[` + strings.Join(grants, ",") + `]`,
		"a grant of no name":    `"access":[{"account":"a@b","prefix":"p\uffff"}]`,
		"no account":            `"access":[{"account":"a"}]`,
		"two grants that clash": `"access":[{"account":"a@b"},{"account":"a@b","write":true}]`,
	} {
		if _, _, err := Verify(strings.NewReader(header(bad)), true); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := `"indexes":[` + many(2, `{"name":"i","id":7,"field":"f"}`) + `],"access":[` + many(2, `{"account":"a@b"}`) + `]`
	if h, _, err := Verify(strings.NewReader(header(fine)), true); err != nil || len(h.Indexes) != 2 {
		t.Errorf("the same twice: %+v, %v", h, err)
	}
}

// TestShortForm: what JSON would blow up is base64, and what people read is text.
func TestShortForm(t *testing.T) {
	for _, c := range []struct {
		value string
		text  bool
	}{
		{"", true},
		{"two apples", true},
		{"{\"a\":\"b\",\n\t\"c\":\"\\\\\"}", true},
		{"äöü \u2028", true},
		{strings.Repeat("\x00", 1<<20), false},
		{"\xff", false},
		{"a\x01\x02\x03", false},
	} {
		var o Object
		if o.SetValue([]byte(c.value)); o.Text != "" && !c.text || len(o.Base64) > 0 && c.text {
			t.Errorf("%.20q as text: %v, want %v", c.value, len(o.Base64) == 0, c.text)
		}
		if string(o.Value()) != c.value {
			t.Errorf("%.20q became %.20q", c.value, o.Value())
		}
		if b := file(t, []Object{{Root: "r", Text: o.Text, Base64: o.Base64}}); len(b) > 2*len(c.value)+500 {
			t.Errorf("%.20q of %d bytes makes a file of %d", c.value, len(c.value), len(b))
		}
	}
}
