// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"errors"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"sigs.k8s.io/yaml"

	// What the files name in typed_config. An extension that is not here is refused.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

// ParseMessage reads YAML into a message as Envoy does: a field that no message has, or a
// value that the rules of the messages forbid, is an error, also inside of typed_config.
func ParseMessage(data []byte, into proto.Message) error {
	object, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return err
	}
	if err := protojson.Unmarshal(object, into); err != nil {
		return err
	}
	return Validate(into)
}

// Validate applies the rules of Envoy's messages, as Envoy does to all that it is given.
func Validate(message proto.Message) error {
	var errs []error
	err := eachPacked(message, func(packed proto.Message) {
		// protoc-gen-validate made it, for each message and all within, but for what is packed.
		if v, ok := packed.(interface{ ValidateAll() error }); ok {
			errs = append(errs, v.ValidateAll())
		}
	})
	return errors.Join(append(errs, err)...)
}

// eachPacked calls visit with the message, and with each that is packed in it, however
// deep.
func eachPacked(message proto.Message, visit func(proto.Message)) error {
	return protorange.Range(message.ProtoReflect(), func(path protopath.Values) error {
		last := path.Index(-1)
		if kind := last.Step.Kind(); kind == protopath.RootStep || kind == protopath.AnyExpandStep {
			visit(last.Value.Message().Interface())
		}
		return nil
	})
}
