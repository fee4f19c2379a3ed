package web

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/rosterdb/rosterdb/test/interop"
)

const browserTime = 3 * time.Minute // for all that a test does in a browser

// chromium is a browser, spoken to by the Chrome DevTools protocol.
type chromium struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn

	mu      sync.Mutex
	id      int
	waiting map[int]chan response
}

type response struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// startChromium starts a browser without a window, and connects to it.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	name := ""
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(n); err == nil {
			name = path
			break
		}
	}
	interop.Need(t, name != "", "chromium", "apt-get install chromium")
	ctx, cancel := context.WithTimeout(background(), browserTime)
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, name,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--ignore-certificate-errors",
		"--user-data-dir="+dir, "--remote-debugging-port=0", "about:blank")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, ctx: ctx, waiting: make(map[int]chan response)}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_, _ = c.call("", "Browser.close", nil)
		cancel()
		wg.Wait()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	url := make(chan string, 1)
	wg.Go(func() {
		for s := bufio.NewScanner(stderr); s.Scan(); {
			if _, u, ok := strings.Cut(s.Text(), "DevTools listening on "); ok {
				url <- u
			}
		}
	})
	select {
	case u := <-url:
		c.conn, _, err = websocket.Dial(ctx, u, nil) //nolint:bodyclose // it is the connection
	case <-ctx.Done():
		err = errors.New("chromium does not start")
	}
	if err != nil {
		t.Fatal(err)
	}
	c.conn.SetReadLimit(64 << 20)
	wg.Go(c.read)
	return c
}

// read hands answers to whoever waits for them.
func (c *chromium) read() {
	for {
		_, b, err := c.conn.Read(c.ctx)
		if err != nil {
			return
		}
		var m struct {
			ID int
			response
		}
		if json.Unmarshal(b, &m) != nil || m.ID == 0 {
			continue // an event
		}
		c.mu.Lock()
		ch := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		c.mu.Unlock()
		if ch != nil {
			ch <- m.response
		}
	}
}

// call runs a command; session is that of a page, "" the browser's own.
func (c *chromium) call(session, method string, params any) (json.RawMessage, error) {
	ch := make(chan response, 1)
	c.mu.Lock()
	c.id++
	id := c.id
	c.waiting[id] = ch
	c.mu.Unlock()
	m := map[string]any{"id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := c.conn.Write(c.ctx, websocket.MessageText, b); err != nil {
		return nil, err
	}
	select {
	case r := <-ch:
		if r.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, r.Error.Message)
		}
		return r.Result, nil
	case <-c.ctx.Done():
		return nil, fmt.Errorf("%s: %w", method, c.ctx.Err())
	}
}

func (c *chromium) must(session, method string, params any) json.RawMessage {
	c.t.Helper()
	r, err := c.call(session, method, params)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func field(raw json.RawMessage, name string) (s string) {
	var m map[string]json.RawMessage
	_ = json.Unmarshal(raw, &m)
	_ = json.Unmarshal(m[name], &s)
	return s
}

// page is a tab with storage of its own.
type page struct {
	c       *chromium
	session string
}

// open shows a page to somebody new.
func (c *chromium) open(url string) *page {
	c.t.Helper()
	who := field(c.must("", "Target.createBrowserContext", nil), "browserContextId")
	target := field(c.must("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": who, "width": 1200, "height": 800}), "targetId")
	p := &page{c: c, session: field(c.must("", "Target.attachToTarget", map[string]any{"targetId": target, "flatten": true}), "sessionId")}
	c.must(p.session, "Page.enable", nil)
	c.must(p.session, "Page.navigate", map[string]any{"url": url})
	p.until("document.readyState === 'complete'")
	return p
}

// eval runs JavaScript, waits for its promise, and returns its value as text.
func (p *page) eval(script string) (string, error) {
	raw, err := p.c.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true})
	if err != nil {
		return "", err
	}
	var r struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return "", err
	}
	if e := r.ExceptionDetails; e != nil {
		return "", fmt.Errorf("%s %s", e.Text, e.Exception.Description)
	}
	return fmt.Sprint(r.Result.Value), nil
}

func (p *page) run(script string) string {
	p.c.t.Helper()
	v, err := p.eval(script)
	if err != nil {
		p.c.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a condition.
func (p *page) until(condition string) {
	p.c.t.Helper()
	last := ""
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // polls
		v, err := p.eval("Boolean(" + condition + ")")
		if v == "true" {
			return
		}
		if err != nil {
			last = err.Error()
		}
	}
	text, _ := p.eval("document.body ? document.body.innerText.slice(0, 2000) : ''")
	p.c.t.Fatalf("never came true: %s\n%s\n%s", condition, last, text)
}

// screenshot writes what the page looks like into a file.
func (p *page) screenshot(file string) {
	p.c.t.Helper()
	png, err := base64.StdEncoding.DecodeString(field(p.c.must(p.session, "Page.captureScreenshot", nil), "data"))
	if err == nil {
		err = os.WriteFile(file, png, 0o600)
	}
	if err != nil {
		p.c.t.Fatal(err)
	}
}
