// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"

	"github.com/hexcovery/apikey-operator/test/issuer"
)

type change = map[string]any

func TestVerify(t *testing.T) {
	rsaKey, ecKey := newRSAKey(t, "rsa"), newECKey(t, "ec")
	i := issuer.Start(t, rsaKey, ecKey)
	h := start(t, i)
	ago := func(d time.Duration) int64 { return noon.Add(-d).Unix() }

	for name, test := range map[string]struct {
		changes change
		want    Verdict
	}{
		"good":                         {nil, Accepted},
		"one of several audiences":     {change{"aud": []string{"other", issuer.Audience}}, Accepted},
		"another organization":         {change{"organization": "Globex_7.eu-1"}, Accepted},
		"not expired":                  {change{"exp": noon.Add(time.Second).Unix()}, Accepted},
		"expired within the skew":      {change{"exp": ago(29 * time.Second)}, Accepted},
		"expired outside of it":        {change{"exp": ago(31 * time.Second)}, Expired},
		"expired long ago":             {change{"exp": ago(24 * time.Hour)}, Expired},
		"without expiry":               {change{"exp": nil}, Malformed},
		"expiry is null":               {change{"exp": json.RawMessage("null")}, Malformed},
		"expiry is no number":          {change{"exp": "tomorrow"}, Malformed},
		"valid since now":              {change{"nbf": noon.Unix()}, Accepted},
		"valid soon":                   {change{"nbf": noon.Add(29 * time.Second).Unix()}, Accepted},
		"valid later":                  {change{"nbf": noon.Add(31 * time.Second).Unix()}, NotYetValid},
		"valid much later":             {change{"nbf": noon.Add(time.Hour).Unix()}, NotYetValid},
		"issued just now":              {change{"iat": float64(noon.UnixMilli())/1e3 + 29.5}, Accepted},
		"issued in the future":         {change{"iat": noon.Add(31 * time.Second).Unix()}, NotYetValid},
		"issued never":                 {change{"iat": nil}, Malformed},
		"issued at no time":            {change{"iat": "noon"}, Malformed},
		"issued after all times":       {change{"iat": 1e300}, Malformed},
		"another issuer":               {change{"iss": "https://issuer.example"}, WrongIssuer},
		"issuer with a slash":          {change{"iss": i.URL + "/"}, WrongIssuer},
		"no issuer":                    {change{"iss": nil}, WrongIssuer},
		"another audience":             {change{"aud": "other"}, WrongAudience},
		"longer audience":              {change{"aud": issuer.Audience + "s"}, WrongAudience},
		"audience in another case":     {change{"aud": strings.ToUpper(issuer.Audience)}, WrongAudience},
		"no audience":                  {change{"aud": nil}, WrongAudience},
		"empty audience":               {change{"aud": ""}, WrongAudience},
		"audience is a list of lists":  {change{"aud": [][]string{{issuer.Audience}}}, WrongAudience},
		"expired, wrong audience":      {change{"exp": ago(time.Hour), "aud": "other"}, WrongAudience},
		"no organization":              {change{"organization": nil}, NoOrganization},
		"organization is null":         {change{"organization": json.RawMessage("null")}, NoOrganization},
		"organization is empty":        {change{"organization": ""}, NoOrganization},
		"organization is a list":       {change{"organization": []string{"acme"}}, NoOrganization},
		"organization is an object":    {change{"organization": change{"acme": change{}}}, NoOrganization},
		"organization is a number":     {change{"organization": 7}, NoOrganization},
		"two organizations":            {change{"organization": "acme|globex"}, NoOrganization},
		"parent folder":                {change{"organization": ".."}, NoOrganization},
		"this folder":                  {change{"organization": "."}, NoOrganization},
		"a path":                       {change{"organization": "acme/../globex"}, NoOrganization},
		"two header lines":             {change{"organization": "acme\r\nX-Scope-OrgID: globex"}, NoOrganization},
		"a comma":                      {change{"organization": "acme,globex"}, NoOrganization},
		"blanks":                       {change{"organization": " acme"}, NoOrganization},
		"NUL":                          {change{"organization": "acme\x00"}, NoOrganization},
		"a letter that looks like a":   {change{"organization": "аcme"}, NoOrganization},
		"the longest organization":     {change{"organization": strings.Repeat("o", 150)}, Accepted},
		"longer":                       {change{"organization": strings.Repeat("o", 151)}, NoOrganization},
		"300 characters":               {change{"organization": strings.Repeat("o", 300)}, NoOrganization},
		"claim in another case":        {change{"organization": nil, "Organization": "acme"}, NoOrganization},
		"audience in another case too": {change{"AUD": issuer.Audience, "aud": "other"}, Malformed},
	} {
		for _, key := range []*issuer.Key{rsaKey, ecKey} {
			h.check(t, name+", "+key.Algorithm, key.Sign(i.Claims(noon, test.changes)), test.want)
		}
	}
	if got, _ := h.Verify(t.Context(), rsaKey.Sign(i.Claims(noon, nil))); got.Organization != "acme" {
		t.Errorf("%+v", got)
	}
}

func TestClaimsThatComeTwice(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	good, err := json.Marshal(i.Claims(noon, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{`"organization":"globex"`, `"organization":"acme"`, `"exp":99999999999`, `"iss":"x"`, `"EXP":99999999999`} {
		h.check(t, more, key.Sign(strings.TrimSuffix(string(good), "}")+","+more+"}"), Malformed)
		h.check(t, more+" first", key.Sign("{"+more+","+strings.TrimPrefix(string(good), "{")), Malformed)
	}
	for _, payload := range []string{"", "null", "[]", `"a"`, "{}", "{", string(good) + "{}", strings.Repeat("[", 2000)} {
		h.check(t, payload, key.Sign(payload), Malformed)
	}
	h.check(t, "once", key.Sign(string(good)), Accepted)
}

// encode makes a token without a library, as an attacker would.
func encode(header, payload any, sign func(signed []byte) []byte) string {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	signed := part(header) + "." + part(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(signed)))
}

func TestSignaturesThatAreNone(t *testing.T) {
	rsaKey, ecKey := newRSAKey(t, "rsa"), newECKey(t, "ec")
	i := issuer.Start(t, rsaKey, ecKey)
	h := start(t, i)
	claims := i.Claims(noon, nil)
	good := rsaKey.Sign(claims)
	parts := strings.Split(good, ".")
	unsigned := func([]byte) []byte { return nil }

	for _, algorithm := range []string{"none", "None", "NONE", "nOnE", "", "HS256", "RS256"} {
		want := Malformed
		if algorithm == "RS256" {
			want = Untrusted
		}
		// go-jose takes an empty signature for a broken token.
		if _, got := h.Verify(t.Context(), encode(change{"alg": algorithm, "kid": "rsa"}, claims, unsigned)); got != want && got != Malformed {
			t.Errorf("alg %q without a signature: %v", algorithm, got)
		}
	}

	// Algorithm confusion: everybody knows the public key, so as a secret it is none.
	public, err := x509.MarshalPKIXPublicKey(rsaKey.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM":         pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"DER":         public,
		"PKCS 1":      x509.MarshalPKCS1PublicKey(rsaKey.Private.Public().(*rsa.PublicKey)),
		"the modulus": rsaKey.Private.Public().(*rsa.PublicKey).N.Bytes(),
		"nothing":     nil,
	} {
		for _, kid := range []string{"rsa", "ec", "unknown", ""} {
			h.check(t, "HS256 with "+name, encode(change{"alg": "HS256", "kid": kid}, claims, func(signed []byte) []byte {
				mac := hmac.New(sha256.New, secret)
				mac.Write(signed)
				return mac.Sum(nil)
			}), Malformed)
		}
	}

	// Keys that the token brings along are nobody's.
	foreign := newECKey(t, "ec")
	point, err := foreign.Private.Public().(*ecdsa.PublicKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	raw := point.Bytes()
	jwk := change{
		"kty": "EC", "crv": "P-256", "kid": "ec",
		"x": base64.RawURLEncoding.EncodeToString(raw[1:33]), "y": base64.RawURLEncoding.EncodeToString(raw[33:]),
	}
	for name, extra := range map[string]change{
		"signed with another key of that name":    {},
		"key in the header":                       {"jwk": jwk},
		"key elsewhere":                           {"jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/x"},
		"with what is not understood":             {"crit": []string{"exp"}, "exp": 1},
		"names the RSA key":                       {"kid": "rsa"},
		"without the name of a key":               {"kid": ""},
		"kid that is a path, a query, a sentence": {"kid": "../../ec' OR 1=1 --"},
	} {
		header := change{"alg": "ES256", "kid": "ec"}
		maps.Copy(header, extra)
		token := signES256(t, foreign, header, claims)
		if _, got := h.Verify(t.Context(), token); got != Untrusted && got != Malformed && (got != Undecided || name[:3] != "kid") {
			t.Errorf("%s: %v", name, got)
		}
	}

	for name, token := range map[string]string{
		"nothing":            "",
		"two parts":          parts[0] + "." + parts[1],
		"four parts":         good + "." + parts[2],
		"five parts":         good + "." + parts[1] + "." + parts[2],
		"dots":               "..",
		"a word":             "session",
		"JSON":               `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"blanks":             " " + good,
		"a line":             good + "\n",
		"padding":            good + "==",
		"no base64":          parts[0] + "." + parts[1] + ".!!!",
		"too long":           good + strings.Repeat("A", MaxTokenBytes),
		"a megabyte":         strings.Repeat("A", 1<<20),
		"too long but good":  rsaKey.Sign(i.Claims(noon, change{"filler": strings.Repeat("a", MaxTokenBytes)})),
		"encrypted, by name": encode(change{"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa"}, claims, unsigned),
	} {
		h.check(t, name, token, Malformed)
	}
	for name, token := range map[string]string{
		"no signature":        parts[0] + "." + parts[1] + ".",
		"another's signature": parts[0] + "." + parts[1] + "." + strings.Split(ecKey.Sign(claims), ".")[2],
		"other claims":        parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iat":1,"exp":99999999999,"aud":%q}`, issuer.Audience))) + "." + parts[2],
		"other header":        strings.Split(oidctest.SignIDToken(ecKey.Private, "rsa", oidc.ES256, "{}"), ".")[0] + "." + parts[1] + "." + parts[2],
	} {
		h.check(t, name, token, Untrusted)
	}
	h.check(t, "a long one", rsaKey.Sign(i.Claims(noon, change{"filler": strings.Repeat("a", 5000)})), Accepted)
}

func TestConfigurationSaysWhatToDo(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{}, "not a URL with a host"},
		{Config{Issuer: "issuer.example"}, "not a URL with a host"},
		{Config{Issuer: "mailto:issuer@example"}, "user"},
		{Config{Issuer: "http://issuer.example", Audience: "a"}, "use https://: whoever can change"},
		{Config{Issuer: "http://localhost.example", Audience: "a"}, "use https://"},
		{Config{Issuer: "http://10.0.0.1", Audience: "a"}, "use https://"},
		{Config{Issuer: "ftp://127.0.0.1", Audience: "a"}, "use https://"},
		{Config{Issuer: "https://me:secret@issuer.example", Audience: "a"}, "must not have a user"},
		{Config{Issuer: "https://issuer.example?a=b", Audience: "a"}, "a query"},
		{Config{Issuer: "https://issuer.example"}, "audience: is empty"},
		{Config{Issuer: "https://issuer.example", Audience: "a"}, "organization claim: is empty"},
		{Config{Issuer: "https://issuer.example", Audience: "a", OrganizationClaim: "o", ClockSkew: -1}, "clock skew"},
		{Config{Issuer: "https://issuer.example", Audience: "a", OrganizationClaim: "o", ClockSkew: time.Hour}, "between 0s and 5m0s"},
	} {
		if _, err := NewVerifier(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.config, err, test.want)
		}
	}
	for _, url := range []string{"https://issuer.example", "https://issuer.example/realms/a", "http://localhost:5556/dex", "http://127.0.0.1", "http://[::1]:80"} {
		if _, err := NewVerifier(Config{Issuer: url, Audience: "a", OrganizationClaim: "https://hexcovery.example/organization"}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A claim may be named by a URL, as some issuers demand, and is then no path.
func TestOrganizationClaimIsConfigurable(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := prepare(t, i, func(c *Config) { c.OrganizationClaim = "https://hexcovery.example/org" })
	h.run(t)
	h.check(t, "the default", key.Sign(i.Claims(noon, nil)), NoOrganization)
	h.check(t, "configured", key.Sign(i.Claims(noon, change{"https://hexcovery.example/org": "globex"})), Accepted)
}

func TestVerdictsHaveNames(t *testing.T) {
	names := map[string]bool{}
	for v := range verdictCount {
		if v.String() == "" || names[v.String()] {
			t.Errorf("%d: %q", v, v)
		}
		names[v.String()] = true
	}
	if (verdictCount+1).String() != "undecided" || Verdict(0) != Undecided {
		t.Error("what is not known has to be undecided")
	}
}

func BenchmarkVerify(b *testing.B) {
	rsaKey, ecKey := newRSAKey(b, "rsa"), newECKey(b, "ec")
	i := issuer.Start(b, rsaKey, ecKey)
	h := start(b, i)
	for _, key := range []*issuer.Key{rsaKey, ecKey} {
		token := key.Sign(i.Claims(noon, nil))
		b.Run(key.Algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, verdict := h.Verify(b.Context(), token); verdict != Accepted {
					b.Fatal(verdict)
				}
			}
		})
	}
	key := newECKey(b, "made-up")
	token := key.Sign(i.Claims(noon.Add(-time.Hour), change{"exp": noon.Add(time.Hour).Unix()}))
	b.Run("made-up key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, verdict := h.Verify(b.Context(), token); verdict != Untrusted {
				b.Fatal(verdict)
			}
		}
	})
}
