// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/internal/keys"
)

func TestExtract(t *testing.T) {
	const key = "hxk_whatever"
	for name, test := range map[string]struct {
		header http.Header
		want   Reason
	}{
		"one key":                       {http.Header{"X-Api-Key": {key}}, Allowed},
		"nothing":                       {http.Header{}, MissingKey},
		"nil":                           {nil, MissingKey},
		"empty":                         {http.Header{"X-Api-Key": {""}}, MissingKey},
		"two":                           {http.Header{"X-Api-Key": {key, key}}, AmbiguousCredentials},
		"two, one empty":                {http.Header{"X-Api-Key": {"", key}}, AmbiguousCredentials},
		"joined":                        {http.Header{"X-Api-Key": {key + "," + key}}, AmbiguousCredentials},
		"joined with nothing":           {http.Header{"X-Api-Key": {key + ","}}, AmbiguousCredentials},
		"beside a session":              {http.Header{"X-Api-Key": {key}, "Authorization": {"Bearer ey"}}, AmbiguousCredentials},
		"beside itself":                 {http.Header{"X-Api-Key": {key}, "Authorization": {"Bearer " + key}}, AmbiguousCredentials},
		"beside an empty Authorization": {http.Header{"X-Api-Key": {key}, "Authorization": {""}}, AmbiguousCredentials},
		"empty beside a session":        {http.Header{"X-Api-Key": {""}, "Authorization": {"Bearer ey"}}, AmbiguousCredentials},
		"underscores":                   {http.Header{"X_api_key": {key}}, AmbiguousCredentials},
		"dots":                          {http.Header{"X.api.key": {key}}, AmbiguousCredentials},
		"mixed":                         {http.Header{"X-Api_key": {key}}, AmbiguousCredentials},
		"other characters":              {http.Header{"X~api!key": {key}}, AmbiguousCredentials},
		"not canonical":                 {http.Header{"X-API-KEY": {key}}, AmbiguousCredentials},
		"look-alike beside the key":     {http.Header{"X-Api-Key": {key}, "X_api_key": {key}}, AmbiguousCredentials},
		"look-alike without a value":    {http.Header{"X-Api-Key": {key}, "X_api_key": {}}, AmbiguousCredentials},
		"no look-alikes":                {http.Header{"X-Api-Key": {key}, "X-Api-Keys": {"a"}, "Xapikey": {"b"}, "X-Api-Key-Id": {"c"}, "Y-Api-Key": {"d"}}, Allowed},
		"key as a session":              {http.Header{"Authorization": {"Bearer " + key}}, WrongHeader},
		"key alone":                     {http.Header{"Authorization": {key}}, WrongHeader},
		"key as a token":                {http.Header{"Authorization": {"Token token=" + key}}, WrongHeader},
		"password":                      {http.Header{"Authorization": {"Basic dTpw"}}, WrongHeader},
		"empty Authorization":           {http.Header{"Authorization": {""}}, WrongHeader},
		"session":                       {http.Header{"Authorization": {"Bearer eyJhbGciOi"}}, SessionsNotAccepted},
		"session in capitals":           {http.Header{"Authorization": {"BEARER eyJhbGciOi"}}, SessionsNotAccepted},
		"bearer of nothing":             {http.Header{"Authorization": {"Bearer"}}, SessionsNotAccepted},
		"session, then a key":           {http.Header{"Authorization": {"Bearer ey", "Bearer " + key}}, WrongHeader},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := extract(test.header, false)
			if reason != test.want {
				t.Errorf("reason %v, want %v", reason, test.want)
			}
			if (got.key == key) != (reason == Allowed) || got.key != key && got.key != "" || got.session != "" {
				t.Errorf("%v with %q", reason, got)
			}
			// That sessions are accepted changes nothing but for sessions.
			if reason != SessionsNotAccepted {
				if same, again := extract(test.header, true); again != reason || same != got {
					t.Errorf("%v where sessions are accepted", again)
				}
			}
		})
	}
}

func TestExtractSession(t *testing.T) {
	const token = "eyJhbGciOi.eyJpc3MiOi.c2ln"
	key, _ := mint(t)
	for name, test := range map[string]struct {
		header http.Header
		want   Reason
	}{
		"one session":            {http.Header{"Authorization": {"Bearer " + token}}, Allowed},
		"in lower case":          {http.Header{"Authorization": {"bearer " + token}}, Allowed},
		"in capitals":            {http.Header{"Authorization": {"BEARER " + token}}, Allowed},
		"beside other headers":   {http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key-Id": {"a"}, "X-Authorization": {"b"}, "Proxy-Authorization": {"c"}}, Allowed},
		"two headers":            {http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, AmbiguousCredentials},
		"two, one of nothing":    {http.Header{"Authorization": {"Bearer " + token, "Bearer"}}, AmbiguousCredentials},
		"two, one empty":         {http.Header{"Authorization": {"Bearer " + token, ""}}, WrongHeader},
		"two, one a password":    {http.Header{"Authorization": {"Bearer " + token, "Basic dTpw"}}, WrongHeader},
		"joined":                 {http.Header{"Authorization": {"Bearer " + token + ",Bearer " + token}}, AmbiguousCredentials},
		"joined with a blank":    {http.Header{"Authorization": {"Bearer " + token + ", Bearer " + token}}, AmbiguousCredentials},
		"joined with nothing":    {http.Header{"Authorization": {"Bearer " + token + ","}}, AmbiguousCredentials},
		"look-alike too":         {http.Header{"Authorization": {"Bearer " + token}, "authorization": {"Bearer " + token}}, AmbiguousCredentials},
		"look-alike":             {http.Header{"AUTHORIZATION": {"Bearer " + token}}, AmbiguousCredentials},
		"beside a key":           {http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {key}}, AmbiguousCredentials},
		"beside an empty key":    {http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {""}}, AmbiguousCredentials},
		"beside a key's double":  {http.Header{"Authorization": {"Bearer " + token}, "X_api_key": {key}}, AmbiguousCredentials},
		"nothing":                {http.Header{"Authorization": {"Bearer"}}, InvalidSession},
		"a blank":                {http.Header{"Authorization": {"Bearer "}}, InvalidSession},
		"padding only":           {http.Header{"Authorization": {"Bearer =="}}, InvalidSession},
		"padding inside":         {http.Header{"Authorization": {"Bearer a=b"}}, InvalidSession},
		"two blanks":             {http.Header{"Authorization": {"Bearer  " + token}}, InvalidSession},
		"a tab":                  {http.Header{"Authorization": {"Bearer\t" + token}}, WrongHeader},
		"a blank at the end":     {http.Header{"Authorization": {"Bearer " + token + " "}}, InvalidSession},
		"quoted":                 {http.Header{"Authorization": {`Bearer "` + token + `"`}}, InvalidSession},
		"a parameter":            {http.Header{"Authorization": {"Bearer token=" + token}}, InvalidSession},
		"two tokens":             {http.Header{"Authorization": {"Bearer " + token + " " + token}}, InvalidSession},
		"another alphabet":       {http.Header{"Authorization": {"Bearer tök"}}, InvalidSession},
		"without a scheme":       {http.Header{"Authorization": {token}}, WrongHeader},
		"another scheme":         {http.Header{"Authorization": {"Token " + token}}, WrongHeader},
		"a longer scheme":        {http.Header{"Authorization": {"Bearers " + token}}, WrongHeader},
		"a key":                  {http.Header{"Authorization": {"Bearer " + key}}, WrongHeader},
		"a part of a key":        {http.Header{"Authorization": {"Bearer " + key[:9]}}, WrongHeader},
		"a key and more":         {http.Header{"Authorization": {"Bearer x" + key}}, WrongHeader},
		"a key in JSON":          {http.Header{"Authorization": {`Bearer {"token":"` + key + `"}`}}, WrongHeader},
		"a key as a signature":   {http.Header{"Authorization": {"Bearer eyJhbGciOi.eyJpc3MiOi." + key}}, WrongHeader},
		"a key in the signature": {http.Header{"Authorization": {"Bearer eyJhbGciOi.hxk_hxk_." + "hxk_" + key + "x"}}, WrongHeader},
		"a key after a session":  {http.Header{"Authorization": {"Bearer " + token, "Bearer " + key}}, WrongHeader},
		// One in some ten thousand sessions is like this one, and is no key.
		"the prefix by chance": {http.Header{"Authorization": {"Bearer eyJhbGciOi.eyJpc3MiOi.c2lnhxk_" + strings.Repeat("a", 60)}}, Allowed},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := extract(test.header, true)
			if reason != test.want {
				t.Errorf("reason %v, want %v", reason, test.want)
			}
			if (got.session == "") == (reason == Allowed) || got.key != "" {
				t.Errorf("%v with %q", reason, got)
			}
			if reason == Allowed && !strings.HasSuffix(test.header["Authorization"][0], " "+got.session) {
				t.Errorf("%q", got.session)
			}
		})
	}
}

// Whatever is in the Authorization header, a session is only taken where there is one,
// and it never holds a key.
func FuzzExtractSession(f *testing.F) {
	key, _ := mint(f)
	for _, seed := range []string{"Bearer eyJ.eyJ.c2ln", "bearer x", "Bearer " + key, "Bearer eyJ." + key + ".x", "Basic dTpw", "Bearer a, Bearer b", "Bearer", "Bearer hxk_hxk_", "Bearer eyJ..hxk_"} {
		f.Add(seed, "Accept", "")
		f.Add(seed, "Authorization", seed)
		f.Add(seed, "X-Api-Key", key)
	}
	f.Fuzz(func(t *testing.T, value, name, other string) {
		header := http.Header{"Authorization": {value}}
		header[name] = append(header[name], other)
		got, reason := extract(header, true)
		if (got == credential{}) == (reason == Allowed) || got.key != "" && got.session != "" {
			t.Fatalf("%v with %q", reason, got)
		}
		if got.key != "" {
			t.Fatalf("a key beside an Authorization header: %q", header)
		}
		if reason != Allowed {
			return
		}
		switch {
		case len(header["Authorization"]) != 1 || !strings.EqualFold(value, "bearer "+got.session):
			t.Fatalf("%q of %q", got.session, header)
		case strings.ContainsAny(got.session, ", \t\r\n\"\x00"):
			t.Fatalf("%q is more than one token", got.session)
		case sameFolded(name, keyHeader) || sameFolded(name, authorizationHeader) && name != authorizationHeader:
			t.Fatalf("%q", header)
		}
		for at := range len(got.session) - keys.Length + 1 {
			if _, err := keys.Parse(got.session[at : at+keys.Length]); err == nil {
				t.Fatalf("a session with a key in it: %q", got.session)
			}
		}
		if _, without := extract(header, false); without != SessionsNotAccepted {
			t.Fatalf("without an issuer: %v", without)
		}
	})
}

// Whatever the headers, a key is only taken where nobody could take another.
func FuzzExtract(f *testing.F) {
	f.Add("X-Api-Key", "hxk_a", "X_Api_Key", "hxk_b")
	f.Add("X-Api-Key", "hxk_a,hxk_b", "Authorization", "Bearer x")
	f.Add("x-api-key", "hxk_a", "X-API-KEY", "hxk_b")
	f.Add("Accept", "", "X-Api-Key", "")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		header := http.Header{}
		header.Add(name1, value1)
		header.Add(name2, value2)
		shown, reason := extract(header, false)
		key := shown.key
		if reason != Allowed {
			if key != "" || reason.Status() != http.StatusUnauthorized {
				t.Fatalf("%v with %q", reason, key)
			}
			return
		}
		candidates := 0
		for name, values := range header {
			plain := strings.Map(func(r rune) rune {
				if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
					return r
				}
				return '-'
			}, strings.ToLower(name))
			if plain == "x-api-key" || plain == "authorization" {
				candidates += len(values)
			}
		}
		if candidates != 1 || key == "" || strings.Contains(key, ",") || header.Get("X-Api-Key") != key {
			t.Fatalf("%q was taken from %v", key, header)
		}
	})
}
