// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/net/http/httpguts"

	"github.com/hexcovery/apikey-operator/internal/registry"
)

// The headers of the product, in the form that net/http keeps them.
const (
	keyHeader           = "X-Api-Key"
	authorizationHeader = "Authorization"
	contentTypeHeader   = "Content-Type"
	upgradeHeader       = "Upgrade"
	keyIDHeader         = "X-Api-Key-Id"
	keyNameHeader       = "X-Api-Key-Name"
)

// DefaultOrganizationHeader is what Mimir, Loki and Tempo read the tenant from.
const DefaultOrganizationHeader = "X-Scope-OrgID"

// identity names the headers that carry the identity of a request to an upstream.
type identity struct {
	organization string
}

// newIdentity checks the name of the header for the organization.
func newIdentity(organizationHeader string) (identity, error) {
	if !httpguts.ValidHeaderFieldName(organizationHeader) {
		return identity{}, fmt.Errorf("organization header %q: use a valid header name", organizationHeader)
	}
	reserved := []string{
		keyHeader, keyIDHeader, keyNameHeader, authorizationHeader,
		methodOverrides[0], methodOverrides[1], methodOverrides[2],
		"Host", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Cache-Control", "Te", "Trailer", "Upgrade", "Cookie",
	}
	for _, c := range contracts {
		reserved = append(reserved, c.methodHeader, c.targetHeader)
	}
	for _, name := range reserved {
		if sameFolded(organizationHeader, name) {
			return identity{}, fmt.Errorf("organization header %q: the header is reserved, use another name", organizationHeader)
		}
	}
	return identity{organization: http.CanonicalHeaderKey(organizationHeader)}, nil
}

func (i identity) names() []string {
	return []string{i.organization, keyIDHeader, keyNameHeader}
}

// set writes every identity header. All of them, always: what a gateway copies
// from an answer then replaces whatever a client sent under that name.
func (i identity) set(header http.Header, grant *registry.Grant) {
	header.Set(i.organization, grant.Organization)
	header.Set(keyIDHeader, grant.KeyID)
	header.Set(keyNameHeader, grantName(grant))
}

// grantName is the name in the identity headers. A session has no namespace, so its name
// is no key's.
func grantName(grant *registry.Grant) string {
	if grant.Namespace == "" {
		return grant.Name
	}
	return grant.Namespace + "/" + grant.Name
}

// looksLike reports whether a header is none of the protected ones, but could be
// taken for one by a server that comes later: CGI, and what descends from it, reads
// X_API_Key and X-API-Key as the same name, and some servers fold other characters
// too. Both arguments are in canonical form.
func looksLike(name, protected string) bool {
	return name != protected && sameFolded(name, protected)
}

// anyLooksLike reports whether any header looksLike one of the protected.
func anyLooksLike(header http.Header, protected []string) bool {
	for name := range header {
		if slices.ContainsFunc(protected, func(p string) bool { return looksLike(name, p) }) {
			return true
		}
	}
	return false
}

func sameFolded(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

// fold maps letters to lower case, and whatever is neither a letter nor a digit
// to "-".
func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + ('a' - 'A')
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c
	default:
		return '-'
	}
}
