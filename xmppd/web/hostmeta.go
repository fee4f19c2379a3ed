package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/rosterdb/rosterdb/internal/stanza"
)

// Paths of the ways in.
const (
	WebSocketPath = "/ws"
	BOSHPath      = "/bosh"
)

// HostMeta tells clients where the server's WebSocket and BOSH are (XEP-0156 section 3).
type HostMeta struct {
	// URL is the server's public address, such as https://chat.example.net; "" stands for the one
	// that the client has used.
	URL     string
	Proxies Proxies
}

// CheckURL reports whether a text can be HostMeta.URL.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("must be like https://chat.example.net")
	}
	return nil
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

func (m HostMeta) links(r *http.Request) []link {
	base := strings.TrimSuffix(m.URL, "/")
	if base == "" {
		base = "http://" + r.Host
		if m.Proxies.Peer(r).Secure {
			base = "https://" + r.Host
		}
	}
	return []link{
		{"urn:xmpp:alt-connections:websocket", "ws" + strings.TrimPrefix(base, "http") + WebSocketPath},
		{"urn:xmpp:alt-connections:xbosh", base + BOSHPath},
	}
}

// XML serves /.well-known/host-meta.
func (m HostMeta) XML(w http.ResponseWriter, r *http.Request) {
	m.head(w, "application/xrd+xml")
	out := []byte("<?xml version='1.0' encoding='UTF-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n")
	for _, l := range m.links(r) {
		out = stanza.AppendAttr(append(out, "  <Link"...), "rel", l.Rel)
		out = append(stanza.AppendAttr(out, "href", l.Href), "/>\n"...)
	}
	_, _ = w.Write(append(out, "</XRD>\n"...))
}

// JSON serves /.well-known/host-meta.json.
func (m HostMeta) JSON(w http.ResponseWriter, r *http.Request) {
	m.head(w, "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]link{"links": m.links(r)})
}

// head makes the answer readable for pages of any origin: it says nothing that is not public.
func (m HostMeta) head(w http.ResponseWriter, mime string) {
	w.Header().Set("Content-Type", mime)
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if m.URL == "" {
		w.Header().Set("Cache-Control", "no-store") // it depends on what the client has called us
	}
}
