// Package httpauth asks another system over HTTP who may log in: a portal that has the accounts
// already, for example.
//
// Each question is a POST with a JSON body to a URL of the configuration, with the header
// "Authorization: Bearer SECRET" if there is a secret:
//
//   - passwords: {"user","domain","password"}. 200 with {"ok":true} is a yes; 200 with {"ok":false},
//     401 and 404 are a no.
//   - SCRAM keys (optional): {"user","domain"}. 200 with {"scram_sha_256":KEYS,"scram_sha_1":KEYS},
//     either of which may be missing; 404 says that there is no such user. KEYS are {"salt",
//     "iterations","stored_key","server_key"}, bytes in base64 (RFC 5802 section 3).
//   - existence (optional; for logins by certificate): {"user","domain"}, answered as for passwords.
//
// Everything else, no answer in time among it, is a failure of the source: the user is told to try
// later. 403 is one, too, since it is what a wrong secret is answered with. After several in a row nobody is asked for a while, so that a dead source costs no login
// more than an error; the number of questions under way is bounded.
package httpauth
