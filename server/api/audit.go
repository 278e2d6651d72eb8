package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"provisioner/lab"
	"provisioner/store"
)

// AuditEntry is who did what, in answers.
type AuditEntry struct {
	ID      int64   `json:"id"`
	At      *string `json:"at" doc:"RFC 3339"`
	Actor   string  `json:"actor"`
	Via     string  `json:"via" doc:"By which key or token"`
	Remote  string  `json:"remote" doc:"From where"`
	Action  string  `json:"action"`
	Subject string  `json:"subject" doc:"To which machine; empty: to none"`
	Detail  string  `json:"detail"`
}

func (a *api) auditOperations() {
	operation(a, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/audit", Tags: []string{"audit"},
		Summary: "Who did what", Description: "Admins only. The newest first, 100 where no limit is given. It is kept for ever.",
	}, a.listAudit)
}

type listAuditInput struct {
	Actor   string `query:"actor" maxLength:"64"`
	Subject string `query:"subject" maxLength:"64" doc:"The name of a machine"`
	Action  string `query:"action" maxLength:"64"`
	Since   string `query:"since" maxLength:"64" doc:"A time (RFC 3339), or how long ago, such as 2d"`
	Until   string `query:"until" maxLength:"64"`
	Paging
}

func (a *api) listAudit(ctx context.Context, actor lab.Actor, in *listAuditInput) (*list[AuditEntry], error) {
	filter := store.AuditFilter{Actor: in.Actor, Subject: in.Subject, Action: in.Action}
	var err error
	if filter.Before, err = in.afterID(); err != nil {
		return nil, err
	}
	if filter.Since, err = parseMoment("since", in.Since, a.now()); err != nil {
		return nil, err
	}
	if filter.Until, err = parseMoment("until", in.Until, a.now()); err != nil {
		return nil, err
	}
	in.bounded()
	filter.Limit = in.Limit
	rows, err := a.lab.Audit(ctx, actor, filter)
	if err != nil {
		return nil, err
	}
	return newestFirst(rows, &in.Paging, func(e store.AuditEntry) int64 { return e.ID }, func(e store.AuditEntry) AuditEntry {
		return AuditEntry{e.ID, moment(e.At), e.Actor, e.Via, e.Remote, e.Action, e.Subject, e.Detail}
	}), nil
}
