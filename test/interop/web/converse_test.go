package web

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rosterdb/rosterdb/test/harness"
)

// TestConverse: two people, each with converse.js in a page of their own, see one another in the
// roster and chat both ways through what the pages show, over WebSocket and BOSH, also after their
// connections broke. With SCREENSHOTS=DIR it leaves pictures there.
func TestConverse(t *testing.T) {
	needModule(t, "converse.js")
	c := startChromium(t)
	s := startServer(t)
	site := pages(t)
	for name, service := range map[string]string{
		"websocket": "wss://localhost:" + s.https.port() + "/ws",
		"bosh":      "https://localhost:" + s.https.port() + "/bosh",
	} {
		t.Run(name, func(t *testing.T) {
			c.t = t
			login := func(user string) *page {
				q := url.Values{"jid": {user + "@" + harness.Domain}, "password": {harness.Password}, name: {service}}
				return c.open(site + "/converse.html?" + q.Encode())
			}
			alice, bob := login("alice"), login("bob")
			for p, contact := range map[*page]string{alice: "Bob", bob: "Alice"} {
				p.until("probe.connected > 0")
				p.until(fmt.Sprintf("[...document.querySelectorAll('converse-roster .contact-name, converse-rosterview .contact-name')].some(e => e.textContent.includes('%s'))", contact))
			}
			open := func(p *page, with string) {
				p.run("api.chats.open('" + with + "@" + harness.Domain + "', {}, true).then(() => 1)")
				p.until("document.querySelector('converse-chat textarea.chat-textarea')")
			}
			open(alice, "bob")
			open(bob, "alice")
			chat := func(from, to *page, text string) {
				t.Helper()
				write(from, text)
				to.until(fmt.Sprintf("[...document.querySelectorAll('converse-chat-message-body')].filter(e => e.textContent.includes(%q)).length === 1", text))
			}
			chat(alice, bob, "Good morning, Bob")
			chat(bob, alice, "Good morning, Alice & <others>")
			if n := s.https.cut(); n == 0 {
				t.Fatal("there was nothing to cut")
			}
			if name == "websocket" {
				alice.until("probe.lost > 0 && probe.connected > 1")
				bob.until("probe.lost > 0 && probe.connected > 1")
			}
			chat(alice, bob, "Are you still there?")
			chat(bob, alice, "Yes, I am")
			if dir := os.Getenv("SCREENSHOTS"); dir != "" {
				alice.screenshot(filepath.Join(dir, "converse-"+name+"-alice.png"))
				bob.screenshot(filepath.Join(dir, "converse-"+name+"-bob.png"))
			}
		})
	}
	if log := s.Log(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}

// write types a message as a person would, and sends it by the return key.
func write(p *page, text string) {
	p.c.t.Helper()
	p.run("document.querySelector('converse-chat textarea.chat-textarea').focus(); 1")
	p.c.must(p.session, "Input.insertText", map[string]any{"text": text})
	for _, kind := range []string{"keyDown", "keyUp"} {
		p.c.must(p.session, "Input.dispatchKeyEvent", map[string]any{"type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"})
	}
}
