// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
	"github.com/hexcovery/apikey-operator/test/readings"
)

// Names are compared folded: servers have been seen to take any of these spellings
// for one another.
func folded(name string) string {
	name = strings.TrimFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
	return punctuation.ReplaceAllString(strings.ToLower(name), "-")
}

var (
	punctuation = regexp.MustCompile(`[^a-z0-9]`)
	token       = regexp.MustCompile("^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	plainHost   = regexp.MustCompile(`^[A-Za-z0-9._\[\]:-]+$`)
	digits      = regexp.MustCompile(`^[0-9]+$`)
	chunkLine   = regexp.MustCompile(`^([0-9A-Fa-f]{1,8})[ \t]*(;[^\n]*)?$`)
	overrides   = []string{"x-http-method-override", "x-http-method", "x-method-override"}
	// Headers that frameworks read the path from, in place of the request line.
	paths = []string{"x-rewrite-url", "x-original-url", "x-original-uri", "x-forwarded-uri", "x-forwarded-path", "x-envoy-original-path"}
	// Headers that no client may add behind those that the gateway has looked at.
	noTrailers = slices.Concat(overrides, paths, []string{
		"x-scope-orgid", "x-api-key-id", "x-api-key-name", "x-api-key", "authorization", "cookie", "content-length", "transfer-encoding", "host",
	})
)

// identity is what the upstream is told of a key, as lines of a header.
func identity(grant *registry.Grant) []string {
	return []string{"X-Scope-OrgID: " + grant.Organization, "X-API-Key-ID: " + grant.KeyID, "X-API-Key-Name: " + grant.Namespace + "/" + grant.Name}
}

// judge says what is wrong with a request that has arrived, if the grant is that of the
// key in whose name it was sent. It knows nothing of cases. No findings: the request is
// legitimate.
func (k *Keyring) judge(request *wire.Request, grant *registry.Grant) []string {
	if grant == nil {
		return []string{"it arrived, and may not in anybody's name"}
	}
	j := &judgement{request: request, grant: grant, fields: map[string][]string{}}
	for _, f := range request.Fields {
		j.fields[folded(f.Name)] = append(j.fields[folded(f.Name)], f.Value)
	}
	j.identity()
	j.credentials(k)
	j.message()
	j.framing()
	j.host()
	j.method()
	j.paths()
	return j.findings
}

type judgement struct {
	request  *wire.Request
	grant    *registry.Grant
	fields   map[string][]string // by folded names
	findings []string
}

func (j *judgement) find(format string, arguments ...any) {
	j.findings = append(j.findings, fmt.Sprintf(format, arguments...))
}

// none finds headers that may not be there.
func (j *judgement) none(names ...string) {
	for _, name := range names {
		if values := j.fields[name]; values != nil {
			j.find("there is %s: %q", name, values)
		}
	}
}

// identity: each header once, with what the key is worth.
func (j *judgement) identity() {
	for _, line := range identity(j.grant) {
		name, want, _ := strings.Cut(line, ": ")
		if got := j.fields[folded(name)]; !slices.Equal(got, []string{want}) {
			j.find("%s is %q, not %q", name, got, want)
		}
	}
}

// credentials: none goes further.
func (j *judgement) credentials(ring *Keyring) {
	j.none("x-api-key", "authorization", "cookie", "cookie2")
	text := fmt.Sprintf("%s %s %s %s", j.request.Target, j.request.Line, j.request.Fields, j.request.Trailers)
	for name, key := range ring.keys {
		if strings.Contains(text, key) || strings.Contains(readings.Decode(text), key) {
			j.find("it holds %s", name)
		}
	}
}

// message: it is plain HTTP, and asks for nothing else.
func (j *judgement) message() {
	if !slices.Contains([]string{"HTTP/1.0", "HTTP/1.1", "HTTP/2"}, j.request.Proto) {
		j.find("the protocol is %q", j.request.Proto)
	}
	for _, f := range slices.Concat(j.request.Fields, j.request.Trailers) {
		if !token.MatchString(f.Name) {
			j.find("the name %q is none", f.Name)
		}
		if strings.ContainsAny(f.Value, "\r\n\x00") {
			j.find("%s has a control character: %q", f.Name, f.Value)
		}
	}
	for _, f := range j.request.Trailers {
		if name := folded(f.Name); slices.Contains(noTrailers, name) {
			j.find("there is %s in the trailers, which some servers merge into the headers", name)
		}
	}
	j.none("upgrade")
}

// framing: its end is certain.
func (j *judgement) framing() {
	lengths, encodings := j.fields["content-length"], j.fields["transfer-encoding"]
	switch {
	case len(lengths)+len(encodings) > 1:
		j.find("content-length %q and transfer-encoding %q", lengths, encodings)
	case len(lengths) == 1 && !digits.MatchString(lengths[0]):
		j.find("content-length is %q", lengths[0])
	case len(encodings) == 1 && !strings.EqualFold(encodings[0], "chunked"):
		j.find("transfer-encoding is %q", encodings[0])
	case len(encodings) == 1 && j.request.Proto != "HTTP/1.1":
		j.find("transfer-encoding in %s", j.request.Proto)
	}
	if len(encodings) > 0 && j.request.Proto != "HTTP/2" {
		j.chunks(string(j.request.Payload))
	}
}

// chunks: their sizes and ends are written in the one way that all read alike.
func (j *judgement) chunks(payload string) {
	for payload != "" {
		line, rest, found := strings.Cut(payload, "\r\n")
		size := chunkLine.FindStringSubmatch(line)
		if !found || size == nil {
			j.find("a chunk begins with %.80q", line)
			return
		}
		n, err := strconv.ParseInt(size[1], 16, 32)
		if err != nil || n == 0 {
			return // trailers are judged by themselves
		}
		if int64(len(rest)) < n+2 || rest[n:n+2] != "\r\n" {
			j.find("a chunk does not end where it says")
			return
		}
		payload = rest[n+2:]
	}
}

// host: there is one, and it can be no more.
func (j *judgement) host() {
	hosts := slices.Concat(j.request.Values(":authority"), j.request.Values("host"))
	if j.request.Proto == "HTTP/2" {
		slices.Sort(hosts)
		hosts = slices.Compact(hosts)
	}
	if len(hosts) > 1 || len(hosts) == 0 && j.request.Proto != "HTTP/1.0" {
		j.find("the hosts are %q", hosts)
	}
	for _, host := range hosts {
		if !plainHost.MatchString(host) {
			j.find("the host %q could be read as more", host)
		}
	}
}

// method: there is one.
func (j *judgement) method() {
	j.none(overrides...)
	_, query, _ := strings.Cut(j.request.Target, "?")
	for parameter := range strings.FieldsFuncSeq(query, func(c rune) bool { return c == '&' || c == ';' }) {
		if strings.EqualFold(readings.Decode(cut(parameter, "=")), "_method") {
			j.find("the query has _method, which frameworks take for the method")
		}
	}
	for _, name := range []string{":method", ":path", ":scheme", ":authority"} {
		if got := j.request.Values(name); len(got) > 1 {
			j.find("%s is there %d times", name, len(got))
		}
	}
}

// paths: however the path is read, the key may reach it.
func (j *judgement) paths() {
	targets := []string{j.request.Target}
	for _, name := range paths {
		targets = append(targets, j.fields[name]...)
	}
	for _, prefix := range j.fields["x-forwarded-prefix"] {
		targets = append(targets, prefix+j.request.Target)
	}
	for _, target := range targets {
		reach := exact
		for path := range readings.All(target) {
			if !reach.permit(j.grant, j.request.Method, path) {
				j.find("%s %.300q can be read as %.300q, which the key may not reach", j.request.Method, target, path)
				break
			}
			reach = anyCase // what was made lower case is not compared as it is
		}
	}
	if _, query, _ := strings.Cut(j.request.Target, "?"); strings.ContainsAny(query, "#\x00 ") {
		j.find("the query does not end where it should: %q", query)
	}
}

// judgeAnswer says what a client must not have seen.
func judgeAnswer(seen string, grant *registry.Grant) []string {
	var findings []string
	for _, part := range strings.Split(seen, "data of <")[1:] {
		if organization := cut(part, ">"); grant == nil || organization != grant.Organization {
			findings = append(findings, fmt.Sprintf("the client was answered with data of %q", organization))
		}
	}
	return findings
}
