package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"provisioner/lab"
	"provisioner/server/upload"
	"provisioner/store"
)

// Image is a file that machines load, in answers.
type Image struct {
	ID          int64   `json:"id"`
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Type        string  `json:"type" enum:"Kernel,Initrd,bootloader"`
	Arch        string  `json:"arch"`
	UploadDate  *string `json:"upload_date" doc:"RFC 1123"`
	User        *string `json:"user" doc:"Whose it is"`
	KnownGood   bool    `json:"known_good"`
	Public      bool    `json:"public" doc:"Anybody may boot with it"`

	Filename string `json:"filename" doc:"What machines see"`
	Size     int64  `json:"size" doc:"In bytes"`
	SHA256   string `json:"sha256"`
}

// imageTypes are the types as old clients know them.
var imageTypes = map[string]store.ImageType{
	"Kernel": store.ImageKernel, "Initrd": store.ImageInitrd, "bootloader": store.ImageBootloader,
}

func toImage(i store.Image) Image {
	answer := Image{
		ID: i.ID, Name: i.Name, Description: optionalText(i.Description), Type: string(i.Type), Arch: i.Arch, UploadDate: date(i.UploadedAt),
		User: optionalText(i.Owner), KnownGood: i.KnownGood, Public: i.Public, Filename: i.Filename, Size: i.Size, SHA256: i.SHA256,
	}
	for name, kind := range imageTypes {
		if kind == i.Type {
			answer.Type = name
		}
	}
	return answer
}

func (a *api) imageOperations(router chi.Router) {
	tags := []string{"images"}
	operation(a, huma.Operation{
		OperationID: "list-images", Method: http.MethodGet, Path: "/image", Tags: tags,
		Summary: "List kernels, initrds and bootloaders", Description: "Without `show_all`, only your own; with it, all that you may boot with.",
	}, a.listImages)
	operation(a, huma.Operation{
		OperationID: "get-image", Method: http.MethodGet, Path: "/image/{id}", Tags: tags,
		Summary: "Look at an image",
	}, a.getImage)
	operation(a, huma.Operation{
		OperationID: "change-image", Method: http.MethodPut, Path: "/image/{id}", Tags: tags,
		Summary: "Change what is said of an image", Description: "Its owner and admins may. Its type and architecture stay while something uses it.",
	}, a.changeImage)
	operation(a, huma.Operation{
		OperationID: "remove-image", Method: http.MethodDelete, Path: "/image/{id}", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Remove an image and its file", Description: "Its owner and admins may. While something uses it, it stays: 409, which says what does.",
	}, a.removeImage)

	// It is read as it comes, which huma cannot.
	router.With(a.authenticate).Post("/image", a.uploadImage)
	schemas := a.huma.OpenAPI().Components.Schemas
	a.huma.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "add-image", Method: http.MethodPost, Path: "/image", Tags: tags, Security: withToken,
		Summary: "Upload an image",
		Description: "A form (RFC 7578) whose field `q` is JSON and comes before `file`. Where the name is left out it is the file's, with something " +
			"added if there is one of that name already. For uploads that are continued: POST /images/uploads (tus 1.0).",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {
			Schema: &huma.Schema{Type: huma.TypeObject, Required: []string{"q", "file"}, Properties: map[string]*huma.Schema{
				"q":    schemas.Schema(reflect.TypeFor[newImage](), true, "NewImage"),
				"file": {Type: huma.TypeString, Format: "binary"},
			}},
		}}},
		Responses: map[string]*huma.Response{
			"201": {Description: "Created", Content: map[string]*huma.MediaType{
				"application/json": {Schema: schemas.Schema(reflect.TypeFor[Image](), true, "Image")},
			}},
			"default": errorResponse(),
		},
	})
}

type listImagesInput struct {
	Showing
	Filtering
	Paging
}

func (a *api) listImages(ctx context.Context, actor lab.Actor, in *listImagesInput) (*list[Image], error) {
	images, err := a.lab.Images(ctx, actor)
	if err != nil {
		return nil, err
	}
	var listed []Image
	for _, i := range images {
		if in.all() || i.UserID == actor.User.ID {
			listed = append(listed, toImage(i))
		}
	}
	return listOf(listed, in.Filtering, &in.Paging, func(i Image) string { return byName(i.Name) })
}

// ImagePath names an image in a path.
type ImagePath struct {
	ID string `path:"id" doc:"The image: its number, or its name" example:"linux"`
}

type imageAnswer struct{ Body Image }

func (a *api) getImage(ctx context.Context, actor lab.Actor, in *ImagePath) (*imageAnswer, error) {
	name, err := a.lab.ImageName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return a.image(ctx, actor, name)
}

func (a *api) image(ctx context.Context, actor lab.Actor, name string) (*imageAnswer, error) {
	i, err := a.lab.Image(ctx, actor, name)
	if err != nil {
		return nil, err
	}
	return &imageAnswer{toImage(i.Image)}, nil
}

type changeImageInput struct {
	ImagePath
	Body struct {
		_           struct{}         `additionalProperties:"true"`
		Name        given[string]    `json:"name,omitempty" minLength:"2" maxLength:"128"`
		Type        given[string]    `json:"type,omitempty" enum:"Kernel,Initrd,bootloader"`
		Description optional[string] `json:"description,omitempty"`
		Arch        given[string]    `json:"arch,omitempty"`
		KnownGood   given[bool]      `json:"known_good,omitempty"`
		Public      given[bool]      `json:"public,omitempty"`
	}
}

func (a *api) changeImage(ctx context.Context, actor lab.Actor, in *changeImageInput) (*imageAnswer, error) {
	name, err := a.lab.ImageName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	change := lab.ImageChange{
		Name: in.Body.Name.value, Description: in.Body.Description.orZero(), Arch: in.Body.Arch.value,
		KnownGood: in.Body.KnownGood.value, Public: in.Body.Public.value,
	}
	if in.Body.Type.value != nil {
		kind := imageTypes[*in.Body.Type.value]
		change.Type = &kind
	}
	if err := a.lab.ChangeImage(ctx, actor, name, change); err != nil {
		return nil, orInvalid(err)
	}
	if in.Body.Name.value != nil {
		name = *in.Body.Name.value
	}
	return a.image(ctx, actor, name)
}

// Forgetting is what admins may ask for where something is to be removed.
type Forgetting struct {
	Forget bool `query:"forget" doc:"Admins: machines forget that they were last installed with it"`
}

type removeImageInput struct {
	ImagePath
	Forgetting
}

func (a *api) removeImage(ctx context.Context, actor lab.Actor, in *removeImageInput) (*nothing, error) {
	name, err := a.lab.ImageName(ctx, actor, in.ID)
	if err != nil {
		return nil, err
	}
	return nil, a.lab.RemoveImage(ctx, actor, name, in.Forget)
}

// newImage is what an upload says of its file.
type newImage struct {
	Name        string  `json:"name,omitempty"`
	Type        string  `json:"type" enum:"Kernel,Initrd,bootloader"`
	Arch        string  `json:"arch"`
	Subarch     string  `json:"subarch,omitempty" doc:"Of a bootloader: the firmware that it is for" default:"uefi"`
	Description *string `json:"description,omitempty"`
	SHA256      string  `json:"sha256,omitempty" doc:"Which the file must have"`
	KnownGood   bool    `json:"known_good,omitempty"`
	Public      bool    `json:"public,omitempty"`
}

func (n newImage) image(filename string) lab.NewImage {
	return lab.NewImage{
		Name: n.Name, Type: imageTypes[n.Type], Arch: n.Arch, Subarch: n.Subarch, SHA256: n.SHA256,
		KnownGood: n.KnownGood, Public: n.Public, Filename: filename, Description: deref(n.Description),
	}
}

// maxImageForm bounds what an upload says beside its file, in bytes.
const maxImageForm = 16 << 10

func (a *api) uploadImage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(idempotencyHeader) != "" {
		err := invalid("Idempotency-Key is not for uploads: give the image a name, of which there is one only")
		writeError(w, a.refusal(huma.Operation{}, err))
		return
	}
	upload.Patient(w, r)
	image, err := a.takeImage(r.Context(), actorOf(r.Context()), r)
	if err != nil {
		writeError(w, a.refusal(huma.Operation{Method: r.Method, Path: "/image"}, err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = jsonFormat.Marshal(w, image) // the client may have gone
}

func (a *api) takeImage(ctx context.Context, actor lab.Actor, r *http.Request) (Image, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return Image{}, invalid("send a form: curl -F q='{\"type\": \"Kernel\", \"arch\": \"amd64\"}' -F file=@FILE (%w)", err)
	}
	var said *newImage
	for {
		part, err := form.NextPart()
		switch {
		case errors.Is(err, io.EOF):
			return Image{}, invalid("multipart `file` is required")
		case err != nil:
			return Image{}, invalid("the form breaks off: %w", err)
		}
		switch part.FormName() {
		case "q":
			if said, err = readnewImage(part); err != nil {
				return Image{}, err
			}
		case "file":
			if said == nil {
				return Image{}, invalid("the field q says what the file is, and comes before it")
			}
			return a.keepImage(ctx, actor, *said, part)
		}
	}
}

func readnewImage(part *multipart.Part) (*newImage, error) {
	text, err := io.ReadAll(io.LimitReader(part, maxImageForm+1))
	if err != nil || len(text) > maxImageForm {
		return nil, invalid("the field q breaks off, or has more than %d bytes", maxImageForm)
	}
	said := newImage{Subarch: "uefi"}
	if err := jsonFormat.Unmarshal(text, &said); err != nil {
		return nil, invalid("q: %w", err)
	}
	switch {
	case imageTypes[said.Type] == "":
		return nil, invalid("q: type %q is none of Kernel, Initrd and bootloader", said.Type)
	case said.Arch == "":
		return nil, invalid("q: arch is required")
	}
	return &said, nil
}

func (a *api) keepImage(ctx context.Context, actor lab.Actor, said newImage, file *multipart.Part) (Image, error) {
	if file.FileName() == "" {
		return Image{}, invalid("the field file has no file name")
	}
	image := said.image(path.Base(strings.ReplaceAll(file.FileName(), `\`, "/")))
	if image.Name == "" {
		image.Name = image.Filename
	}
	u, err := a.lab.BeginImage(ctx, actor, image)
	if said.Name == "" && lab.CodeOf(err) == lab.Conflict { // another build of the same file
		image.Name += "." + randomSuffix()
		u, err = a.lab.BeginImage(ctx, actor, image)
	}
	if err != nil {
		return Image{}, orInvalid(err)
	}
	defer u.Discard()
	if _, err := io.Copy(u, upload.Torn{Reader: file}); err != nil {
		return Image{}, err
	}
	if err := u.Commit(ctx); err != nil {
		return Image{}, err
	}
	added, err := a.image(ctx, actor, image.Name)
	if err != nil {
		return Image{}, err
	}
	return added.Body, nil
}

func randomSuffix() string {
	bits := make([]byte, 4)
	_, _ = rand.Read(bits) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(bits)
}
