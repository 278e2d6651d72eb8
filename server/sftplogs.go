package server

import (
	"io"
	"io/fs"
	"strings"

	"github.com/pkg/sftp"

	"provisioner/lab"
	"provisioner/lab/console/transcript"
)

// logSuffix ends the names of console logs.
const logSuffix = ".log"

// sftpLogs is the folder of what machines have printed, as far as the person
// may read it: NAME.log, as it came. A log that is opened is what it was then; a
// transfer that was broken off goes on where it was, with what has been printed
// since.
type sftpLogs struct{ session *sftpSession }

// machine is whose log is at a path.
func (s sftpLogs) machine(path string) (string, error) {
	name, isLog := strings.CutSuffix(strings.TrimPrefix(path, logsFolder+"/"), logSuffix)
	if !isLog || name == "" || strings.Contains(name, "/") {
		return "", errNoSuchFile
	}
	return name, nil
}

func (s sftpLogs) open(path string) (io.ReaderAt, error) {
	name, err := s.machine(path)
	if err != nil {
		return nil, err
	}
	log, err := s.session.lab.ConsoleLog(s.session.ctx, s.session.actor, name, transcript.Window{})
	if err != nil {
		return nil, err
	}
	return log.File(), nil
}

var errReadOnly = &lab.Error{Code: lab.Denied, Message: "console logs can be read here, and nothing else"}

func (s sftpLogs) create(string) (sftpTransfer, error) { return nil, errReadOnly }

func (s sftpLogs) remove(string) error { return errReadOnly }

func (s sftpLogs) rename(string, string) error { return errReadOnly }

func (s sftpLogs) list(path string) (sftp.ListerAt, error) {
	if path != logsFolder {
		return nil, errNoSuchFile
	}
	names, err := s.session.lab.ConsoleLogs(s.session.ctx, s.session.actor)
	for i := range names {
		names[i] += logSuffix
	}
	return lazyListing{names, func(name string) (fileInfo, error) { return s.info(strings.TrimSuffix(name, logSuffix)) }}, err
}

func (s sftpLogs) stat(path string) (fs.FileInfo, error) {
	if path == logsFolder {
		return folderInfo(logsFolder), nil
	}
	name, err := s.machine(path)
	if err != nil {
		return nil, err
	}
	info, err := s.info(name)
	switch {
	case err == nil:
		return info, nil
	case lab.CodeOf(err) == lab.NotFound, lab.CodeOf(err) == lab.Denied: // it is not listed either
		return nil, errNoSuchFile
	}
	return nil, err
}

func (s sftpLogs) info(machine string) (fileInfo, error) {
	size, at, err := s.session.lab.ConsoleLogSize(s.session.ctx, s.session.actor, machine)
	return fileInfo{name: machine + logSuffix, size: size, mode: 0o444, modified: at}, err
}
