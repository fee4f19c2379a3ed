package xmppd

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// ReadFile reads a TOML file over the present values. What is wrong in it is a ConfigError that
// names file and line.
func (c *Config) ReadFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return misconfigured(fmt.Errorf("read configuration: %w", err))
	}
	meta, err := toml.Decode(string(text), c)
	if err != nil {
		return misconfigured(atLine(path, err))
	}
	unknown := meta.Undecoded()
	if len(unknown) == 0 {
		return nil
	}
	key, hint := unknown[0], ""
	if near := nearestKey(key.String()); near != "" {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return misconfigured(fmt.Errorf("%s:%d: unknown key %q; %sdocs/xmppd.md lists the keys", path, lineOf(string(text), key), key, hint))
}

// atLine says what the decoder says, in the form FILE:LINE.
func atLine(path string, err error) error {
	var pe toml.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s:%d: %s", path, pe.Position.Line, pe.Message)
	}
	// Values of a wrong type have no error type of their own.
	m := regexp.MustCompile(`^toml: line (\d+) \(last key "(.*?)"\): (.*)$`).FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	what := ": " + m[3]
	if t := regexp.MustCompile(`expected table but found (\S+)$`).FindStringSubmatch(m[3]); t != nil {
		what = " has to be a table, not " + typeName(t[1])
	}
	if t := regexp.MustCompile(`TOML value has type (\S+); destination has type (\S+)$`).FindStringSubmatch(m[3]); t != nil {
		what = fmt.Sprintf(" has to be %s, not %s", typeName(t[2]), typeName(t[1]))
	}
	return fmt.Errorf("%s:%s: %s%s", path, m[1], m[2], what)
}

// typeName is what TOML calls a type of the decoder.
func typeName(of string) string {
	switch of {
	case "slice":
		return "array"
	case "int64":
		return "integer"
	case "bool":
		return "boolean"
	case "float64":
		return "float"
	}
	return of
}

// lineOf finds the line of a key in a TOML text that has parsed; 1 if it is nowhere to be seen.
func lineOf(text string, key toml.Key) int {
	table, last := strings.Join(key[:len(key)-1], "."), key[len(key)-1]
	inTable := table == ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			name := strings.Trim(line[:max(strings.LastIndex(line, "]"), 0)], "[ ]")
			if name == key.String() {
				return i + 1
			}
			inTable = name == table
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if ok && (strings.Trim(strings.TrimSpace(name), `"'`) == last && inTable || strings.TrimSpace(name) == key.String()) {
			return i + 1
		}
	}
	return 1
}

// nearestKey is the key or table that somebody may have meant: one that is written nearly so, or the
// only one of that name in another table. Empty: none.
func nearestKey(key string) string {
	known := keysOf("", reflect.TypeFor[Config]())
	nearest := slices.MinFunc(known, func(a, b string) int { return distance(key, a) - distance(key, b) })
	if distance(key, nearest) <= max(1, len(key)/4) {
		return nearest
	}
	last := func(k string) string { return k[strings.LastIndex(k, ".")+1:] }
	same := slices.DeleteFunc(known, func(k string) bool { return last(k) != last(key) })
	if len(same) == 1 {
		return same[0]
	}
	return ""
}

// keysOf are the keys and tables that a file may have, those in arrays of tables too.
func keysOf(prefix string, t reflect.Type) (keys []string) {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			keys = append(keys, keysOf(prefix, f.Type)...)
			continue
		}
		key := prefix + f.Tag.Get("toml")
		keys = append(append(keys, key), keysOf(key+".", f.Type)...)
	}
	return keys
}

// distance is how many letters have to be put in, taken out or changed to make one of the other
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of distances between a's first i letters and each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range b {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal, row[j+1] = row[j+1], min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
