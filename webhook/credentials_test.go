// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
	"testing"
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
			got, reason := extract(test.header)
			if reason != test.want {
				t.Errorf("reason %v, want %v", reason, test.want)
			}
			if (got == key) != (reason == Allowed) || got != key && got != "" {
				t.Errorf("%v with %q", reason, got)
			}
		})
	}
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
		key, reason := extract(header)
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
