// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"net/http"
	"strings"
)

// contract is how one kind of gateway describes the request that it asks about.
type contract struct {
	// path is where these gateways ask.
	path string
	// endpoint is the path's name in metrics and logs.
	endpoint string
	// methodHeader and targetHeader are the headers that are believed.
	methodHeader, targetHeader string
	// absolute: the target comes as a URL, not in origin form.
	absolute bool
}

// contracts are all that are served, in the order of the documentation.
var contracts = []*contract{originalContract, originalURLContract, forwardedContract}

// What is wrong with a gateway's request, and what its owner has to do.
const (
	noMethod       = "the gateway sent no usable method header: set it to the method of the request, once"
	noTarget       = "the gateway sent no path header: set it to the path and query of the request, once"
	joinedTargets  = "the gateway's path header seems to hold two values: have the gateway replace what the client sent, not append to it"
	badURL         = "the gateway's URL header is not a URL with a plain host"
	contradictions = "the headers that name the request contradict each other: the gateway asks at another gateway's endpoint, or lets the client send such headers"
)

// read reads the request's attributes from the headers of a gateway's request. protected
// are the names, besides those of the credentials, that may have no look-alikes.
func (c *contract) read(header http.Header, protected []string) requestAttributes {
	if anyLooksLike(header, protected) {
		return requestAttributes{refusal: AmbiguousHeaders}
	}
	methods, targets := header[c.methodHeader], header[c.targetHeader]
	if len(methods) != 1 {
		return requestAttributes{refusal: BadGatewayRequest, detail: noMethod}
	}
	if len(targets) != 1 || targets[0] == "" {
		return requestAttributes{refusal: BadGatewayRequest, detail: noTarget}
	}
	target := targets[0]
	if c.absolute {
		var ok bool
		if target, ok = originForm(target); !ok {
			return requestAttributes{refusal: BadGatewayRequest, detail: badURL}
		}
	}
	if joined(target) {
		return requestAttributes{refusal: BadGatewayRequest, detail: joinedTargets}
	}
	return attributesOf(header, methods[0], target)
}

// attributesOf checks the method and the target of a request with these headers, however
// the gateway has sent them.
func attributesOf(header http.Header, method, target string) requestAttributes {
	switch {
	case !isMethod(method):
		return requestAttributes{refusal: BadGatewayRequest, detail: noMethod}
	case anyLooksLike(header, framingHeaders):
		return requestAttributes{refusal: AmbiguousHeaders}
	case contradicted(header, method, target):
		return requestAttributes{refusal: BadGatewayRequest, detail: contradictions}
	case overridden(header, method):
		return requestAttributes{refusal: MethodOverridden}
	case len(header[upgradeHeader]) > 0:
		return requestAttributes{refusal: UpgradeRefused}
	}
	return requestAttributes{method: method, target: target, refusal: Allowed}
}

// isMethod reports whether a header holds one method and nothing else. All that
// matter are letters; RFC 9110 permits more, and no rule can name those.
func isMethod(method string) bool {
	for i := range len(method) {
		if c := method[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return method != ""
}

// joined reports whether a target may be two header values that somebody joined
// with a comma (RFC 9110, section 5.3): then a client would have chosen the first,
// and with it the path, and the gateway's own would be part of the query.
func joined(target string) bool {
	return strings.Contains(target, ",/") || strings.ContainsAny(target, " \t")
}

// contradicted reports whether headers of another contract differ. A gateway that asks at
// an endpoint whose headers it does not set lets its clients set them; its own headers
// then differ.
func contradicted(header http.Header, method, target string) bool {
	for _, other := range contracts {
		for _, value := range header[other.methodHeader] {
			if value != method {
				return true
			}
		}
		for _, value := range header[other.targetHeader] {
			if other.absolute {
				value, _ = originForm(value)
			}
			if value != target {
				return true
			}
		}
	}
	return false
}

// originForm returns the path and query of a URL, untouched. The authority is what
// a client sent as Host: nothing in it may look as if the path began there. The scheme
// is the gateway's.
func originForm(url string) (string, bool) {
	scheme, rest, _ := strings.Cut(url, "://")
	slash := strings.IndexByte(rest, '/')
	if scheme != "http" && scheme != "https" || slash < 1 {
		return "", false
	}
	for _, c := range []byte(rest[:slash]) {
		if fold(c) == '-' && !strings.ContainsRune("-._:[]", rune(c)) {
			return "", false
		}
	}
	return rest[slash:], true
}
