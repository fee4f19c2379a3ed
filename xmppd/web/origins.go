package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Origins are the web origins (RFC 6454) whose pages may use the server. A request without an
// Origin field comes from no page, or from one of the server's own, and is always allowed.
//
// Any origin is a sound default: a client proves who it is inside the stream, by a password that
// the page must know, and neither cookies nor HTTP authentication nor client certificates count. A
// page of a stranger can do no more than any program on the same machine.
type Origins struct {
	any  bool
	list []string
}

// ParseOrigins reads origins such as "https://chat.example.net"; "*", or an empty list, is any.
func ParseOrigins(list []string) (Origins, error) {
	o := Origins{any: len(list) == 0}
	for _, s := range list {
		if s == "*" {
			o.any = true
			continue
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			return Origins{}, fmt.Errorf("origin %q is not like https://chat.example.net or http://localhost:8080", s)
		}
		o.list = append(o.list, strings.ToLower(s))
	}
	return o, nil
}

// Allow reports whether the page that a request comes from may use the server.
func (o Origins) Allow(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || o.any || slices.Contains(o.list, strings.ToLower(origin))
}

// CORS lets pages read the answers of h (Fetch standard, section 3.2), as far as their origin is
// allowed, and answers the requests in which browsers ask beforehand.
func (o Origins) CORS(methods string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		switch {
		case o.any:
			head.Set("Access-Control-Allow-Origin", "*")
		case !o.Allow(r):
			http.Error(w, "pages of this origin may not use the server", http.StatusForbidden)
			return
		case r.Header.Get("Origin") != "":
			head.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			head.Add("Vary", "Origin")
		}
		if r.Method == http.MethodOptions {
			head.Set("Access-Control-Allow-Methods", methods)
			head.Set("Access-Control-Allow-Headers", "Content-Type")
			head.Set("Access-Control-Max-Age", "86400")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		h.ServeHTTP(w, r)
	})
}
