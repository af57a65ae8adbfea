// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"

	"sigs.k8s.io/yaml"
)

// The types below have the fields that a replay of Envoy Gateway knows (api/v1alpha1).
// Another one in a file is an error.

// gatewayTarget is a Gateway or a part of it.
type gatewayTarget struct {
	Group       string `json:"group"`
	Kind        string `json:"kind"`
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	SectionName string `json:"sectionName"`
	Port        int    `json:"port"`
}

// gatewayPolicy is the spec of a SecurityPolicy.
type gatewayPolicy struct {
	TargetRefs []gatewayTarget `json:"targetRefs"`
	ExtAuth    gatewayExtAuth  `json:"extAuth"`
}

type gatewayExtAuth struct {
	GRPC *struct {
		BackendRefs     []gatewayTarget `json:"backendRefs"`
		BackendSettings struct {
			// Connection has limits of buffers.
			Connection map[string]string `json:"connection"`
			Retry      struct {
				NumRetries uint32 `json:"numRetries"`
				RetryOn    struct {
					Triggers []string `json:"triggers"`
				} `json:"retryOn"`
			} `json:"retry"`
		} `json:"backendSettings"`
	} `json:"grpc"`
	HTTP *struct {
		BackendRefs      []gatewayTarget `json:"backendRefs"`
		Path             string          `json:"path"`
		HeadersToBackend []string        `json:"headersToBackend"`
	} `json:"http"`
	HeadersToExtAuth []string `json:"headersToExtAuth"`
	Timeout          string   `json:"timeout"`
	FailOpen         bool     `json:"failOpen"`
	StatusOnError    int32    `json:"statusOnError"`
	RecomputeRoute   bool     `json:"recomputeRoute"`
}

// gatewayTraffic is the spec of a ClientTrafficPolicy.
type gatewayTraffic struct {
	TargetRefs []gatewayTarget `json:"targetRefs"`
	Path       struct {
		EscapedSlashesAction string `json:"escapedSlashesAction"`
		DisableMergeSlashes  bool   `json:"disableMergeSlashes"`
	} `json:"path"`
	Headers struct {
		WithUnderscoresAction string              `json:"withUnderscoresAction"`
		EarlyRequestHeaders   gatewayHeaderFilter `json:"earlyRequestHeaders"`
		LateResponseHeaders   gatewayHeaderFilter `json:"lateResponseHeaders"`
		Host                  struct {
			StripTrailingHostDot bool `json:"stripTrailingHostDot"`
		} `json:"host"`
	} `json:"headers"`
	HTTP1 struct {
		IgnoredUpgradeTypes []gatewayMatch `json:"ignoredUpgradeTypes"`
	} `json:"http1"`
	// Timeout is of clients that are slow, of which a replay has none.
	Timeout struct {
		HTTP map[string]string `json:"http"`
	} `json:"timeout"`
}

type gatewayHeaderFilter struct {
	Remove        []string       `json:"remove"`
	RemoveOnMatch []gatewayMatch `json:"removeOnMatch"`
}

// gatewayMatch is a StringMatch, or the match of a path or of a header, which has a name.
type gatewayMatch struct {
	Type  string `json:"type"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// gatewayRoute is the spec of an HTTPRoute.
type gatewayRoute struct {
	ParentRefs []gatewayTarget `json:"parentRefs"`
	Hostnames  []string        `json:"hostnames"`
	Rules      []gatewayRule   `json:"rules"`
}

type gatewayRule struct {
	Name    string `json:"name"`
	Matches []struct {
		Path    gatewayMatch   `json:"path"`
		Headers []gatewayMatch `json:"headers"`
	} `json:"matches"`
	Filters     []gatewayFilter   `json:"filters"`
	BackendRefs []gatewayTarget   `json:"backendRefs"`
	Timeouts    map[string]string `json:"timeouts"`
}

type gatewayFilter struct {
	Type                  string `json:"type"`
	RequestHeaderModifier struct {
		Remove []string `json:"remove"`
	} `json:"requestHeaderModifier"`
	ResponseHeaderModifier gatewaySet    `json:"responseHeaderModifier"`
	ExtensionRef           gatewayTarget `json:"extensionRef"`
}

type gatewaySet struct {
	Set []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"set"`
}

// gatewayAnswer is the spec of an HTTPRouteFilter.
type gatewayAnswer struct {
	DirectResponse struct {
		StatusCode  uint32     `json:"statusCode"`
		ContentType string     `json:"contentType"`
		Header      gatewaySet `json:"header"`
		Body        struct {
			Type   string `json:"type"`
			Inline string `json:"inline"`
		} `json:"body"`
	} `json:"directResponse"`
}

// gatewaySpecs are those of the files.
type gatewaySpecs struct {
	policy  gatewayPolicy
	traffic gatewayTraffic
	route   gatewayRoute
	answer  gatewayAnswer
}

// parseGateway reads the files. GatewayClass and Gateway say where Envoy listens, and
// nothing of what a replay does.
func parseGateway(files EnvoyGatewayFiles) (*gatewaySpecs, error) {
	s := &gatewaySpecs{}
	err := errors.Join(
		gatewaySpec(files.SecurityPolicy, "SecurityPolicy", &s.policy),
		gatewaySpec(files.Gateway, "ClientTrafficPolicy", &s.traffic),
		gatewaySpec(files.HTTPRoute, "HTTPRoute", &s.route),
		gatewaySpec(files.HTTPRoute, "HTTPRouteFilter", &s.answer),
	)
	for _, targets := range [][]gatewayTarget{s.policy.TargetRefs, s.traffic.TargetRefs} {
		if len(targets) != 1 || targets[0].Kind != "Gateway" || targets[0].SectionName != "" {
			err = errors.Join(err, unknown("a policy but for a whole Gateway: %v", targets))
		}
	}
	return s, err
}

func gatewaySpec(data []byte, kind string, into any) error {
	spec, err := specOf(data, kind)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(spec, into)
}
