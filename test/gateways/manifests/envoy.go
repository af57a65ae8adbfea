// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"errors"
	"fmt"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
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

// ParseBootstrap reads a bootstrap of Envoy as Envoy does: a field that no message
// has, or a value that the rules of the messages forbid, is an error, also inside of
// typed_config.
func ParseBootstrap(data []byte) (*bootstrapv3.Bootstrap, error) {
	bootstrap := &bootstrapv3.Bootstrap{}
	if err := ParseMessage(data, bootstrap); err != nil {
		return nil, fmt.Errorf("read bootstrap: %w", err)
	}
	return bootstrap, nil
}

// ParseMessage reads YAML strictly into a message.
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
func Validate(message proto.Message) error { return validate(message.ProtoReflect()) }

// validator is what Envoy's messages have: rules of protoc-gen-validate.
type validator interface{ ValidateAll() error }

// validate applies the rules of a message, and of those packed inside of it.
func validate(message protoreflect.Message) error {
	var errs []error
	if v, ok := message.Interface().(validator); ok {
		errs = append(errs, v.ValidateAll())
	}
	return errors.Join(append(errs, eachAny(message, func(packed proto.Message) error {
		return validate(packed.ProtoReflect())
	}))...)
}

// eachAny calls visit with every message that is packed in this one, but not with
// what is packed in those.
func eachAny(message protoreflect.Message, visit func(proto.Message) error) error {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		unpacked, err := packed.UnmarshalNew()
		if err != nil {
			return err
		}
		return visit(unpacked)
	}
	var errs []error
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		errs = append(errs, eachInField(field, value, visit))
		return true
	})
	return errors.Join(errs...)
}

func eachInField(field protoreflect.FieldDescriptor, value protoreflect.Value, visit func(proto.Message) error) error {
	var errs []error
	switch {
	case field.IsMap():
		if field.MapValue().Message() == nil {
			return nil
		}
		value.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			errs = append(errs, eachAny(v.Message(), visit))
			return true
		})
	case field.Message() == nil:
	case field.IsList():
		for i := range value.List().Len() {
			errs = append(errs, eachAny(value.List().Get(i).Message(), visit))
		}
	default:
		errs = append(errs, eachAny(value.Message(), visit))
	}
	return errors.Join(errs...)
}
