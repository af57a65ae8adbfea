// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/hexcovery/apikey-operator/test/issuer"
)

// An attempt makes two requests: discovery, and the keys.
const requestsPerAttempt = 2

// now are the claims of a token that was issued this moment.
func now(h *harness, i *issuer.Issuer) map[string]any {
	return i.Claims(h.clock.Now(), change{"iat": h.clock.Now().Unix()})
}

// The first request with a new key does not fail: it waits for the key.
func TestRotationIsPickedUp(t *testing.T) {
	old, fresh := newRSAKey(t, "2025"), newECKey(t, "2026")
	i := issuer.Start(t, old)
	h := start(t, i)
	h.pass(t, 10*time.Second)
	i.Publish(old, fresh)
	h.check(t, "new key", fresh.Sign(now(h, i)), Accepted)
	h.check(t, "old key", old.Sign(now(h, i)), Accepted)
	if got := i.Requests.Load(); got != 2*requestsPerAttempt {
		t.Errorf("%d requests", got)
	}

	// Another rotation, sooner than the issuer may be asked again.
	next := newECKey(t, "2027")
	i.Publish(fresh, next)
	h.check(t, "too soon", next.Sign(now(h, i)), Undecided)
	h.pass(t, 4*time.Second)
	verdict := h.ask(t.Context(), next.Sign(now(h, i)))
	h.asleep(t, 1)
	h.clock.Step(time.Second) // within its patience
	if got := <-verdict; got != Accepted {
		t.Errorf("after the wait: %v", got)
	}
}

func TestAKeyThatIsWithdrawnIsForgotten(t *testing.T) {
	old, fresh := newRSAKey(t, "2025"), newECKey(t, "2026")
	i := issuer.Start(t, old, fresh)
	h := start(t, i)
	token := old.Sign(i.Claims(noon, nil))
	h.check(t, "before", token, Accepted)
	i.Publish(fresh)
	attempt := h.keys.Load().next
	h.pass(t, 5*time.Minute)
	ended(t, attempt)
	h.check(t, "after", token, Untrusted)
	h.check(t, "the other", fresh.Sign(i.Claims(noon, nil)), Accepted)
	// Nor does the name of a key that is known help it.
	h.check(t, "under the other's name", oidctest.SignIDToken(old.Private, "2026", "RS256", mustJSON(t, i.Claims(noon, nil))), Untrusted)
	if got := i.Requests.Load(); got != 2*requestsPerAttempt {
		t.Errorf("%d requests: a token that is older than the keys is no reason to ask", got)
	}
}

func TestIssuerIsDownAtFirst(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Prepare(t, key)
	h := start(t, i)
	token := key.Sign(i.Claims(noon, nil))
	h.check(t, "down", token, Undecided)
	h.check(t, "down, made up", newECKey(t, "other").Sign(i.Claims(noon, nil)), Undecided)
	h.check(t, "down, no token", "session", Malformed)
	if !strings.Contains(h.logged(), "could not fetch") {
		t.Errorf("%s", h.logged())
	}
	i.Serve(t)
	attempt := h.keys.Load().next
	h.pass(t, 5*time.Second) // the first pause is a second and some jitter
	ended(t, attempt)
	h.check(t, "up", token, Accepted)
	h.eventually(t, "it is logged", func() bool { return strings.Contains(h.logged(), "fetched the issuer's keys") })
}

// Keys that are known serve on, but not for ever.
func TestIssuerGoesDown(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	i.Stop()
	for minute := range 59 {
		attempt := h.keys.Load().next
		h.pass(t, time.Minute)
		if minute >= 4 {
			ended(t, attempt)
		}
		h.check(t, fmt.Sprintf("after %d minutes", minute+1), key.Sign(now(h, i)), Accepted)
	}
	h.check(t, "an unknown key", newECKey(t, "other").Sign(now(h, i)), Undecided)
	h.pass(t, 61*time.Second)
	h.check(t, "too old", key.Sign(now(h, i)), Undecided)
	i.Serve(t)
	h.pass(t, time.Minute)
	h.eventually(t, "it recovers", func() bool {
		_, verdict := h.Verify(t.Context(), key.Sign(now(h, i)))
		return verdict == Accepted
	})
	if strings.Count(h.logged(), "could not fetch") > 60 {
		t.Error("the log is flooded")
	}
}

func TestIssuerHangs(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	h.pass(t, 10*time.Second)
	i.Hang()

	ctx, cancel := context.WithCancel(t.Context())
	gone := h.ask(ctx, newECKey(t, "a").Sign(now(h, i)))
	verdict := h.ask(t.Context(), newECKey(t, "b").Sign(now(h, i)))
	h.eventually(t, "the issuer is asked", func() bool { return i.Requests.Load() == requestsPerAttempt+1 })
	h.eventually(t, "both wait", func() bool { return h.clock.Waiters() == 2 }) // the loop has none now
	h.check(t, "a key that is known", key.Sign(now(h, i)), Accepted)
	cancel()
	if got := <-gone; got != Undecided {
		t.Errorf("whose client has gone: %v", got)
	}
	before := h.keys.Load()
	h.clock.Step(2 * time.Second)
	if got := <-verdict; got != Undecided || h.keys.Load() != before {
		t.Errorf("out of patience: %v, or only when the attempt had ended", got)
	}
	if len(h.waiting) != 0 {
		t.Error("somebody still waits")
	}
}

// Whoever makes up keys by the thousand is answered, and the issuer hears little of it.
func TestFloodOfMadeUpKeys(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	forger := newECKey(t, "forged")
	const seconds, perSecond = 60, 100
	verdicts := make(chan Verdict, seconds*perSecond)
	var asking sync.WaitGroup
	for second := range seconds {
		for n := range perSecond {
			forger.ID = fmt.Sprintf("forged-%d-%d", second, n)
			token := forger.Sign(now(h, i))
			asking.Go(func() {
				_, verdict := h.Verify(t.Context(), token)
				verdicts <- verdict
			})
		}
		h.check(t, "meanwhile", key.Sign(now(h, i)), Accepted)
		// Each is answered, or waits: no more than some at a time.
		h.eventually(t, "the others are answered", func() bool { return (second+1)*perSecond-len(verdicts) <= 64 })
		h.clock.Step(time.Second)
	}
	attempts := (i.Requests.Load() + 1) / requestsPerAttempt
	if most := int64(seconds/5 + 1); attempts > most || attempts < most/2 {
		t.Errorf("%d attempts in a minute, want about %d", attempts, most)
	}
	ended := make(chan struct{})
	go func() { asking.Wait(); close(ended) }()
	h.eventually(t, "all are answered", func() bool {
		select {
		case <-ended:
			return true
		default:
			if h.clock.Waiters() > 2 { // more than the loop has
				h.clock.Step(patience)
			}
			return false
		}
	})
	close(verdicts)
	counts := [verdictCount]int{}
	for verdict := range verdicts {
		counts[verdict]++
	}
	if counts[Undecided]+counts[Untrusted] != seconds*perSecond {
		t.Errorf("verdicts: %v", counts)
	}
	t.Logf("%d requests, %d attempts, undecided %d, untrusted %d", seconds*perSecond, attempts, counts[Undecided], counts[Untrusted])

	fresh := newECKey(t, "fresh")
	i.Publish(key, fresh)
	h.pass(t, 5*time.Second)
	h.check(t, "a new key, after the flood", fresh.Sign(now(h, i)), Accepted)
}

// What is older than the keys cannot be signed with one that is newer.
func TestFloodOfOldTokensIsNotPassedOn(t *testing.T) {
	i := issuer.Start(t, newECKey(t, "ec"))
	h := start(t, i)
	h.pass(t, 10*time.Second)
	stale := newECKey(t, "long-gone")
	for range 1000 {
		h.check(t, "stale", stale.Sign(i.Claims(noon, nil)), Untrusted)
	}
	if got := i.Requests.Load(); got != requestsPerAttempt {
		t.Errorf("%d requests", got)
	}
}

func TestAnswersThatAreNoKeys(t *testing.T) {
	key := newECKey(t, "ec")
	redirected := issuer.Start(t, key)
	for name, test := range map[string]struct {
		document, keys string // in place of the genuine ones
		status         int
		want           string
	}{
		"another issuer":        {document: `{"issuer":"https://issuer.example","jwks_uri":"ISSUER/keys"}`, want: "did not match"},
		"no issuer":             {document: `{"jwks_uri":"ISSUER/keys"}`, want: "did not match"},
		"no document":           {document: `<html>Sign in</html>`, want: "discovery"},
		"no keys URL":           {document: `{"issuer":"ISSUER"}`, want: "not a URL with a host"},
		"keys without TLS":      {document: `{"issuer":"ISSUER","jwks_uri":"http://issuer.example/keys"}`, want: "use https://"},
		"keys in a file":        {document: `{"issuer":"ISSUER","jwks_uri":"file:///etc/passwd"}`, want: "not a URL with a host"},
		"a document too long":   {document: `{"issuer":"ISSUER","jwks_uri":"ISSUER/keys","x":"` + strings.Repeat("x", maxDocumentBytes) + `"}`, want: "too large"},
		"keys too long":         {keys: `{"keys":[],"x":"` + strings.Repeat("x", maxDocumentBytes) + `"}`, want: "too large"},
		"no set":                {keys: `{"error":"later"}`, want: "not a key set"},
		"no JSON":               {keys: `later`, want: "invalid character"},
		"a list":                {keys: `[]`, want: "cannot unmarshal"},
		"an error":              {keys: `{"keys":[]}`, status: http.StatusInternalServerError, want: "500"},
		"a redirect":            {status: http.StatusFound, want: "the issuer redirects"},
		"a permanent one":       {status: http.StatusPermanentRedirect, want: "the issuer redirects"},
		"too much of an error":  {keys: strings.Repeat("x", maxDocumentBytes), status: http.StatusTeapot, want: "418"},
		"garbage of a document": {document: strings.Repeat("\x00", 100_000), want: "discovery"},
	} {
		t.Run(name, func(t *testing.T) {
			i := issuer.Start(t, key)
			i.Answer(func(w http.ResponseWriter, r *http.Request) {
				instead := test.document
				if r.URL.Path == "/keys" {
					instead = test.keys
					if test.status >= 300 && test.status < 400 {
						w.Header().Set("Location", redirected.URL+"/keys")
					}
					if test.status != 0 {
						w.WriteHeader(test.status)
					}
				}
				if instead == "" {
					i.Genuine(w, r)
					return
				}
				fmt.Fprint(w, strings.ReplaceAll(instead, "ISSUER", i.URL))
			})
			h := start(t, i)
			h.check(t, "a token", key.Sign(i.Claims(noon, nil)), Undecided)
			log := h.logged()
			if !strings.Contains(log, test.want) || len(log) > 4*maxLoggedBytes {
				t.Errorf("the log has %d bytes, and %q in none of them: %.1000s", len(log), test.want, log)
			}
			i.Answer(i.Genuine)
			h.pass(t, 5*time.Second)
			h.eventually(t, "it recovers", func() bool {
				_, verdict := h.Verify(t.Context(), key.Sign(i.Claims(noon, nil)))
				return verdict == Accepted
			})
		})
	}
	if redirected.Requests.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// Keys that nobody could use, or that everybody has, are passed over; the others serve.
func TestKeysThatArePassedOver(t *testing.T) {
	good := newECKey(t, "good")
	i := issuer.Start(t, good)
	w := httptest.NewRecorder()
	i.Genuine(w, httptest.NewRequest(http.MethodGet, "/keys", nil))
	genuine := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(w.Body.String()), `{"keys":[`), `]}`)
	short := `{"kty":"RSA","kid":"short","e":"AQAB","n":"` + strings.Repeat("_", 170) + `w"}` // 1024 bits
	for _, bad := range []string{
		`{"kty":"oct","kid":"good","k":"c2VjcmV0","alg":"HS256"}`,
		`{"kty":"XYZ","kid":"x"}`, `{}`, `7`, `null`, short,
		strings.Replace(genuine, `"sig"`, `"enc"`, 1),
		strings.Replace(genuine, `"kid":"good",`, ``, 1),
		`{"kty":"OKP","crv":"Ed448","kid":"x","x":"AAAA"}`,
	} {
		keys, err := parseKeys([]byte(`{"keys":[` + bad + `]}`))
		if err != nil || len(keys) != 0 {
			t.Errorf("%s: %v, %v", bad, keys, err)
		}
		keys, err = parseKeys([]byte(`{"keys":[` + bad + `,` + genuine + `]}`))
		if err != nil || len(keys) != 1 || keys[0].KeyID != "good" {
			t.Errorf("beside %s: %v, %v", bad, keys, err)
		}
	}
}

func TestIssuerWithACertificateOfItsOwn(t *testing.T) {
	key := newECKey(t, "ec")
	genuine := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Private.Public(), KeyID: key.ID, Algorithm: key.Algorithm}}}
	server := httptest.NewTLSServer(genuine)
	defer server.Close()
	genuine.SetIssuer(server.URL)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	i := issuer.Prepare(t, key)
	i.URL = server.URL

	trusting := prepare(t, i, func(c *Config) { c.Roots = roots })
	trusting.run(t)
	trusting.check(t, "with its CA", key.Sign(i.Claims(noon, nil)), Accepted)
	other := start(t, i)
	other.check(t, "without", key.Sign(i.Claims(noon, nil)), Undecided)
	if !strings.Contains(other.logged(), "certificate") {
		t.Errorf("%s", other.logged())
	}
}

func TestConcurrentSessions(t *testing.T) {
	keys := []*issuer.Key{newRSAKey(t, "rsa"), newECKey(t, "ec-0")}
	i := issuer.Start(t, keys...)
	h := start(t, i)
	forged := newECKey(t, "ec-0").Sign(i.Claims(noon, nil))
	good := keys[0].Sign(i.Claims(noon, nil))
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 50 {
				h.check(t, "good", good, Accepted)
				h.check(t, "forged", forged, Untrusted)
			}
		})
	}
	for n := range 5 {
		keys[1] = newECKey(t, fmt.Sprintf("ec-%d", n+1))
		i.Publish(append([]*issuer.Key{newECKey(t, "ec-0")}, keys...)...)
		attempt := h.keys.Load().next
		h.pass(t, 5*time.Minute)
		ended(t, attempt)
		h.check(t, "rotated", keys[1].Sign(now(h, i)), Accepted)
	}
	running.Wait()
}

// net/http goes on with a connection after the attempt that it was for has ended.
func TestAnIssuerThatIsSilentIsLeft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	left := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(io.Discard, conn) // without a word, until it is closed
			conn.Close()
		}
		left <- err
	}()
	h := prepare(t, &issuer.Issuer{URL: "https://" + listener.Addr().String()}, nil)
	h.fetchTimeout = 100 * time.Millisecond
	h.run(t)
	select {
	case err := <-left:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the connection is still there")
	}
}

func TestMetricsAndLogsHoldNoToken(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	good := key.Sign(i.Claims(noon, nil))
	expired := key.Sign(i.Claims(noon, change{"exp": noon.Add(-time.Hour).Unix()}))
	h.check(t, "good", good, Accepted)
	h.check(t, "expired", expired, Expired)
	i.Stop()
	h.pass(t, 10*time.Second)
	unknown := newECKey(t, "made-up").Sign(now(h, i))
	h.check(t, "unknown", unknown, Undecided)

	page := scrape(t, h)
	for _, want := range []string{
		`apikey_session_verifications_total{result="accepted"} 1`, `apikey_session_verifications_total{result="expired"} 1`,
		`apikey_session_verifications_total{result="undecided"} 1`, `apikey_session_verifications_total{result="no_organization"} 0`,
		`apikey_session_key_fetches_total{result="success"} 1`, `apikey_session_key_fetches_total{result="failure"} 1`,
		fmt.Sprintf(`apikey_session_keys_fetched_timestamp_seconds %g`, float64(noon.Unix())),
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	for _, token := range []string{good, expired, unknown} {
		for part := range strings.SplitSeq(token, ".") {
			if text := page + h.logged(); strings.Contains(text, part) || strings.Contains(text, "made-up") {
				t.Errorf("a part of a token is in %s", text)
			}
		}
	}
}

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(data))
}
