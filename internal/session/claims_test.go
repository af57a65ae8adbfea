// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/test/issuer"
)

// notTimes are no NumericDates, whatever a reader with goodwill finds in them.
func notTimes(good int64) map[string]string {
	return map[string]string{
		"a string":                  fmt.Sprintf("%q", strconv.FormatInt(good, 10)),
		"a string with a float":     fmt.Sprintf(`"%d.5"`, good),
		"a string with an exponent": `"1.8e9"`,
		"an empty string":           `""`,
		"a word":                    `"NaN"`,
		"a date":                    fmt.Sprintf("%q", time.Unix(good, 0).UTC().Format(time.RFC3339)),
		"a list":                    fmt.Sprintf("[%d]", good),
		"an empty list":             "[]",
		"an object":                 fmt.Sprintf(`{"seconds":%d}`, good),
		"true":                      "true",
		"false":                     "false",
		"after all times":           "1e300",
		"one more than all times":   "253402300800",
		"in milliseconds":           strconv.FormatInt(good*1000, 10),
		"64 bits and one":           "18446744073709551616",
		"more than a float":         "1e999",
		"400 digits":                "1" + fmt.Sprintf("%0400d", 0),
		"negative":                  "-1",
		"very negative":             "-1e300",
	}
}

func TestTimesThatAreNoNumbers(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	for name, good := range map[string]int64{"exp": noon.Add(time.Hour).Unix(), "nbf": noon.Add(-time.Hour).Unix(), "iat": noon.Add(-time.Minute).Unix()} {
		sign := func(value string) string {
			return key.Sign(i.Claims(noon, change{name: json.RawMessage(value)}))
		}
		h.check(t, name+" as it should be", sign(strconv.FormatInt(good, 10)), Accepted)
		h.check(t, name+" as a float", sign(strconv.FormatInt(good, 10)+".25"), Accepted)
		h.check(t, name+" with an exponent", sign(fmt.Sprintf("%de-1", good*10)), Accepted)
		for what, value := range notTimes(good) {
			h.check(t, name+" is "+what, sign(value), Malformed)
		}
	}
	// What is not there may be null; what is required may not.
	h.check(t, "nbf is null", key.Sign(i.Claims(noon, change{"nbf": json.RawMessage("null")})), Accepted)
	for _, name := range []string{"exp", "iat"} {
		h.check(t, name+" is null", key.Sign(i.Claims(noon, change{name: json.RawMessage("null")})), Malformed)
	}
}

func TestAudiencesAndIssuersOfAnotherType(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	us := strconv.Quote(issuer.Audience)
	for value, want := range map[string]Verdict{
		us:                              Accepted,
		"[" + us + "]":                  Accepted,
		`["other",` + us + "]":          Accepted,
		"[" + us + ",1]":                WrongAudience,
		"[" + us + ",null]":             WrongAudience,
		"[null," + us + "]":             WrongAudience,
		"[" + us + ",[]]":               WrongAudience,
		"[[" + us + "]]":                WrongAudience,
		"[]":                            WrongAudience,
		"null":                          WrongAudience,
		"7":                             WrongAudience,
		"true":                          WrongAudience,
		`{"aud":` + us + "}":            WrongAudience,
		"{" + us + ":true}":             WrongAudience,
		strconv.Quote("[" + us + "]"):   WrongAudience,
		`"other ` + issuer.Audience[1:]: Malformed, // no JSON at all
	} {
		payload, err := json.Marshal(i.Claims(noon, change{"aud": nil}))
		if err != nil {
			t.Fatal(err)
		}
		h.check(t, "aud is "+value, key.Sign(`{"aud":`+value+","+string(payload[1:])), want)
	}
	for _, value := range []string{"[" + strconv.Quote(i.URL) + "]", "null", "7", "true", "{}"} {
		h.check(t, "iss is "+value, key.Sign(i.Claims(noon, change{"iss": json.RawMessage(value)})), WrongIssuer)
	}
}

// A name that only some readers take for that of a claim is refused: encoding/json
// folds letters, some of them far from ASCII.
func TestClaimsUnderANameThatSomeFold(t *testing.T) {
	key := newECKey(t, "ec")
	i := issuer.Start(t, key)
	h := start(t, i)
	for _, name := range []string{"Exp", "EXP", "iſs", "iſS", "ISS", "Aud", "NBF", "IAT", "Organization", "ORGANIZATION"} {
		h.check(t, name+" besides", key.Sign(i.Claims(noon, change{name: noon.Add(time.Hour).Unix()})), Malformed)
	}
	h.check(t, "iſs alone", key.Sign(i.Claims(noon, change{"iss": nil, "iſs": i.URL})), Malformed)
	h.check(t, "another claim", key.Sign(i.Claims(noon, change{"Sub": "somebody"})), Accepted)
}

// FuzzClaims looks for payloads, signed by the issuer, that are accepted though a strict
// reader does not find in them what RFC 7519 asks for.
func FuzzClaims(f *testing.F) {
	key := newECKey(f, "ec")
	i := issuer.Start(f, key)
	h := start(f, i)
	// Each process that searches has an issuer of its own, at an address of its own.
	const placeholder = "ISSUER"
	good, err := json.Marshal(i.Claims(noon, change{"iss": placeholder}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	for _, name := range []string{"exp", "nbf", "iat", "aud", "iss", "organization"} {
		for _, value := range notTimes(noon.Unix()) {
			changes := change{"iss": placeholder}
			changes[name] = json.RawMessage(value)
			text, err := json.Marshal(i.Claims(noon, changes))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	for _, more := range []string{`"EXP":1`, `"iſs":"x"`, `"exp":1`, `"nbf":null`, `"aud":["x",null]`, `"":1e700`} {
		f.Add("{" + more + "," + string(good[1:]))
	}
	f.Fuzz(func(t *testing.T, payload string) {
		payload = strings.ReplaceAll(payload, placeholder, i.URL)
		session, verdict := h.Verify(t.Context(), key.Sign(payload))
		if (verdict == Accepted) != (session != Session{}) {
			t.Fatalf("%v with %+v", verdict, session)
		}
		if verdict == Accepted {
			strictly(t, payload, i.URL)
		}
	})
}

// strictly reads a payload once more, by other means: each value has the type that it
// should have, and no other.
func strictly(t *testing.T, payload, url string) {
	t.Helper()
	var c map[string]any
	decoder := json.NewDecoder(strings.NewReader(payload))
	decoder.UseNumber() // claims that decide nothing may be numbers of any size
	if err := decoder.Decode(&c); err != nil {
		t.Fatalf("accepted: %q: %v", payload, err)
	}
	number := func(name string) float64 {
		value, _ := c[name].(json.Number)
		seconds, err := value.Float64()
		if err != nil {
			t.Fatalf("accepted: %s is %v in %q", name, c[name], payload)
		}
		return seconds
	}
	now := float64(noon.Unix())
	skew := DefaultClockSkew.Seconds()
	if number("exp") < now-skew || number("iat") > now+skew || c["nbf"] != nil && number("nbf") > now+skew {
		t.Errorf("accepted at another time: %q", payload)
	}
	list, isList := c["aud"].([]any)
	if c["iss"] != any(url) || c["aud"] != any(issuer.Audience) && (!isList || !slices.Contains(list, any(issuer.Audience))) {
		t.Errorf("accepted from or for somebody else: %q", payload)
	}
	if organization, ok := c["organization"].(string); !ok || !isOrganizationID(organization) {
		t.Errorf("accepted: organization %v in %q", c["organization"], payload)
	}
}
