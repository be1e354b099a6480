"""People who sign in, and programs with tokens."""

from handrail.model import commands as c
from handrail.server.endpoint import endpoints

handlers = endpoints(
    c.MakeToken,
    c.ListTokens,
    c.RevokeToken,
    c.Invite,
    c.MakeFirstAdmin,
    c.MakeLink,
    c.AcceptInvitation,
    c.SignIn,
    c.SignInWith,
    c.FollowLink,
    c.SignOut,
    c.ChangePassword,
    c.WhoAmI,
)
