// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// etcdPage is how many keys are read at once.
const etcdPage = 500

// DumpEtcd calls visit with every key and value in etcd, as of one revision and in the order of the keys, until visit
// returns an error. Values are as kube-apiserver stored them: custom resources as JSON, the rest as protobuf, in which
// strings and bytes stand as they are.
func (cp *ControlPlane) DumpEtcd(ctx context.Context, visit func(key, value []byte) error) error {
	return cp.dumpEtcd(ctx, etcdPage, visit)
}

func (cp *ControlPlane) dumpEtcd(ctx context.Context, limit int, visit func(key, value []byte) error) error {
	// A range from "\0" to "\0" is every key, at revision 0 as of now.
	first, revision := []byte{0}, "0"
	for {
		page, err := cp.etcdRange(ctx, map[string]any{"key": first, "range_end": []byte{0}, "limit": limit, "revision": revision})
		if err != nil {
			return fmt.Errorf("dump etcd: %w", err)
		}
		for _, kv := range page.KVs {
			if err := visit(kv.Key, kv.Value); err != nil {
				return err
			}
		}
		if !page.More || len(page.KVs) == 0 {
			return nil
		}
		first, revision = append(page.KVs[len(page.KVs)-1].Key, 0), page.Header.Revision
	}
}

// rangeResponse is etcdserverpb.RangeResponse.
type rangeResponse struct {
	Header struct{ Revision string }
	KVs    []struct{ Key, Value []byte }
	More   bool
}

// etcdRange sends an etcdserverpb.RangeRequest, in the JSON that etcd's gateway speaks on the client port, which spares a
// dependency on etcd's client. Go's JSON, like protobuf's, writes bytes as base64.
func (cp *ControlPlane) etcdRange(ctx context.Context, request map[string]any) (*rangeResponse, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	httpRequest, err := http.NewRequestWithContext(ctx, http.MethodPost, cp.etcdURL+"/v3/kv/range", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	httpRequest.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(httpRequest)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return nil, fmt.Errorf("%s: %s", response.Status, text)
	}
	var page rangeResponse
	if err := json.NewDecoder(response.Body).Decode(&page); err != nil {
		return nil, err
	}
	return &page, nil
}
