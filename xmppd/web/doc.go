// Package web is what the server's HTTP side has in common: who a request comes from, behind
// proxies too (Proxies), which web pages may use the server (Origins), and where clients find its
// WebSocket and BOSH addresses (HostMeta, XEP-0156).
package web
